//! The grammar of HTTP paths: `/orders/:id`.

use crate::diagnostics::pointed;

/// A mistake in a path, with its place in the text in characters.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) message: String,
    start: usize,
    end: usize,
}

impl Mistake {
    /// The message with the place shown below.
    pub(crate) fn show(&self, path: &str) -> String {
        pointed(&self.message, path, self.start, self.end)
    }
}

/// The names of the parameters of a path, in order.
///
/// # Errors
///
/// The first mistake.
pub(crate) fn parameters(path: &str) -> Result<Vec<&str>, Mistake> {
    let mistake = |message: String, start, end| Mistake { message, start, end };
    if path.is_empty() {
        return Err(mistake("the path is empty: the root is `/`".to_owned(), 0, 0));
    }
    let Some(inner) = path.strip_prefix('/') else {
        let message = format!("the path must begin with `/`: write `/{path}`");
        return Err(mistake(message, 0, 1));
    };
    let mut names = Vec::new();
    let mut start = 1;
    let last = inner.split('/').count() - 1;
    for (at, segment) in inner.split('/').enumerate() {
        let end = start + segment.chars().count();
        if segment.is_empty() && at < last {
            let message = "an empty segment: write one `/` between segments".to_owned();
            return Err(mistake(message, start - 1, start + 1));
        }
        if let Some((offset, message)) = refused(segment) {
            let (from, to) = offset.map_or((start, end), |at| (start + at, start + at + 1));
            return Err(mistake(message, from, to));
        }
        if let Some(name) = segment.strip_prefix(':') {
            if names.contains(&name) {
                let message =
                    format!("the parameter `:{name}` comes twice: give each its own name");
                return Err(mistake(message, start, end));
            }
            names.push(name);
        }
        start = end + 1;
    }
    Ok(names)
}

/// What is wrong with one segment, and where in it; without a place, all of it is.
fn refused(segment: &str) -> Option<(Option<usize>, String)> {
    let inner = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    if let Some(name) = inner.map(|name| name.trim_start_matches('*')).filter(|name| is_name(name))
    {
        return Some((None, format!("a parameter is written with a colon: `:{name}`")));
    }
    if segment.starts_with('*') {
        let message = "a path cannot take the rest of the request path with `*`: \
                       name each segment, such as `:name`";
        return Some((None, message.to_owned()));
    }
    for (at, character) in segment.chars().enumerate() {
        let message = match character {
            '{' | '}' => "a path has no braces: a parameter is a whole segment, such as `:id`",
            '*' => "a path has no `*`: a parameter is a whole segment, such as `:id`",
            '?' => "a path has no query: leave out `?` and what follows, and take a `Query<T>`",
            '#' => "a path has no fragment: leave out `#` and what follows",
            _ if character.is_whitespace() => "a path has no spaces: write `%20` for one",
            _ if character.is_control() => "a path has no control characters",
            _ => continue,
        };
        return Some((Some(at), message.to_owned()));
    }
    if let Some(name) = segment.strip_prefix(':') {
        if name.is_empty() {
            return Some((None, "the parameter has no name: write one after `:`".to_owned()));
        }
        if !is_name(name) {
            let message = format!(
                "`:{name}` is not a parameter: its name has letters, digits and `_`, \
                 and does not begin with a digit"
            );
            return Some((None, message));
        }
        return None;
    }
    let at = segment.chars().position(|character| character == ':')?;
    // A colon inside a segment is a plain character to the engine; nobody means that.
    let message = "a parameter is a whole segment: write `/` before `:`";
    Some((Some(at), message.to_owned()))
}

fn is_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(path: &str) -> String {
        parameters(path).unwrap_err().message
    }

    #[test]
    fn good_paths_have_parameters() {
        assert_eq!(parameters("/"), Ok(vec![]));
        assert_eq!(parameters("/orders/"), Ok(vec![]));
        assert_eq!(parameters("/orders/:id/items/:item_id"), Ok(vec!["id", "item_id"]));
        assert_eq!(parameters("/v1.0/a-b/~c/%20/ä"), Ok(vec![]));
    }

    #[test]
    fn bad_paths_say_what_to_write() {
        assert!(message("orders").contains("`/orders`"));
        assert!(message("").contains("root"));
        assert!(message("/a//b").contains("empty segment"));
        assert!(message("//").contains("empty segment"));
        assert!(message("/a/{id}").contains("`:id`"));
        assert!(message("/a/{*rest}").contains("`:rest`"));
        assert!(message("/a/x{id}").contains("braces"));
        assert!(message("/a/*").contains("rest"));
        assert!(message("/a?b=1").contains("query"));
        assert!(message("/a#b").contains("fragment"));
        assert!(message("/a b").contains("spaces"));
        assert!(message("/:").contains("no name"));
        assert!(message("/:1a").contains("digit"));
        assert!(message("/:a-b").contains("letters"));
        assert!(message("/:a/:a").contains("twice"));
        assert!(message("/a:b").contains("whole segment"));
    }

    #[test]
    fn the_place_of_a_mistake_is_shown() {
        let mistake = parameters("/orders/{id}").unwrap_err();
        assert!(mistake.show("/orders/{id}").ends_with("  /orders/{id}\n          ^^^^"));
    }
}

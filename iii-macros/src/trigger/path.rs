//! The grammar of HTTP paths: `/orders/:id`.

use crate::diagnostics::with_carets;

/// An error in a path, and its position in characters.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PathError {
    message: String,
    start: usize,
    end: usize,
}

impl PathError {
    fn new(message: impl Into<String>, start: usize, end: usize) -> Self {
        Self { message: message.into(), start, end }
    }

    /// Returns the message with the position marked in `path`.
    pub(crate) fn render(&self, path: &str) -> String {
        with_carets(&self.message, path, self.start, self.end)
    }
}

/// Returns the names of the parameters of a path, in order.
///
/// # Errors
///
/// The first error in the path.
pub(crate) fn parameters(path: &str) -> Result<Vec<&str>, PathError> {
    if path.is_empty() {
        return Err(PathError::new("the path is empty\nhelp: the root path is `/`", 0, 0));
    }
    let Some(inner) = path.strip_prefix('/') else {
        let message = format!("a path must start with `/`: write `/{path}`");
        return Err(PathError::new(message, 0, 1));
    };
    let mut names = Vec::new();
    let mut start = 1;
    let last = inner.split('/').count() - 1;
    for (at, segment) in inner.split('/').enumerate() {
        let end = start + segment.chars().count();
        if segment.is_empty() && at < last {
            let message = "empty segment in the path: write a single `/` between segments";
            return Err(PathError::new(message, start - 1, start + 1));
        }
        if let Some((offset, message)) = segment_error(segment) {
            let (from, to) = offset.map_or((start, end), |at| (start + at, start + at + 1));
            return Err(PathError::new(message, from, to));
        }
        if let Some(name) = segment.strip_prefix(':') {
            if names.contains(&name) {
                let message = format!("duplicate parameter `:{name}`: use different names");
                return Err(PathError::new(message, start, end));
            }
            names.push(name);
        }
        start = end + 1;
    }
    Ok(names)
}

/// Returns the error of a segment, and the position of the invalid character. Without a position, the whole segment is
/// invalid.
fn segment_error(segment: &str) -> Option<(Option<usize>, String)> {
    let inner = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    if let Some(name) = inner.map(|name| name.trim_start_matches('*')).filter(|name| is_name(name))
    {
        return Some((None, format!("unsupported parameter syntax: write `:{name}`")));
    }
    if segment.starts_with('*') {
        let message =
            "wildcards are not supported: write a parameter for each segment, such as `:name`";
        return Some((None, message.to_owned()));
    }
    for (at, character) in segment.chars().enumerate() {
        let message = match character {
            '{' | '}' => "unexpected brace: a parameter is a whole segment, such as `:id`",
            '*' => "unexpected `*`: a parameter is a whole segment, such as `:id`",
            '?' => "unexpected query string: remove it, and take a `Query<T>` argument",
            '#' => "unexpected fragment: remove it",
            _ if character.is_whitespace() => "unexpected whitespace: write `%20` for a space",
            _ if character.is_control() => "unexpected control character",
            _ => continue,
        };
        return Some((Some(at), message.to_owned()));
    }
    if let Some(name) = segment.strip_prefix(':') {
        if name.is_empty() {
            return Some((None, "missing parameter name after `:`".to_owned()));
        }
        if !is_name(name) {
            let message = format!(
                "invalid parameter name `{name}`: use letters, digits and `_`, and no digit at the start"
            );
            return Some((None, message));
        }
        return None;
    }
    let at = segment.chars().position(|character| character == ':')?;
    // The engine takes a colon inside a segment literally, which is hardly ever intended.
    let message = "unexpected `:`: a parameter is a whole segment, so write `/` before `:`";
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
    fn valid_paths_have_parameters() {
        assert_eq!(parameters("/"), Ok(vec![]));
        assert_eq!(parameters("/orders/"), Ok(vec![]));
        assert_eq!(parameters("/orders/:id/items/:item_id"), Ok(vec!["id", "item_id"]));
        assert_eq!(parameters("/v1.0/a-b/~c/%20/ä"), Ok(vec![]));
    }

    #[test]
    fn invalid_paths_are_reported_with_help() {
        assert!(message("orders").contains("`/orders`"));
        assert!(message("").contains("root"));
        assert!(message("/a//b").contains("empty segment"));
        assert!(message("//").contains("empty segment"));
        assert!(message("/a/{id}").contains("`:id`"));
        assert!(message("/a/{*rest}").contains("`:rest`"));
        assert!(message("/a/x{id}").contains("brace"));
        assert!(message("/a/*").contains("wildcards"));
        assert!(message("/a?b=1").contains("query"));
        assert!(message("/a#b").contains("fragment"));
        assert!(message("/a b").contains("whitespace"));
        assert!(message("/:").contains("missing parameter name"));
        assert!(message("/:1a").contains("digit"));
        assert!(message("/:a-b").contains("letters"));
        assert!(message("/:a/:a").contains("duplicate"));
        assert!(message("/a:b").contains("whole segment"));
    }

    #[test]
    fn position_of_the_error_is_marked() {
        let error = parameters("/orders/{id}").unwrap_err();
        assert!(error.render("/orders/{id}").ends_with("  /orders/{id}\n          ^^^^"));
    }
}

//! Checks the strings in configs of triggers: topics, paths, schedules, ids.
//!
//! The macros check literals while compiling. Constants, and what is made while the program runs, are checked here.

use serde_json::Value;

use super::CatalogueProblem;
use crate::function::Location;
use crate::names;
use crate::trigger::Binding;
use iii_wire::TriggerKind;

/// Checks the path of an `http` trigger. The slash at its beginning may be missing, as on the wire.
///
/// # Errors
///
/// What is wrong with it.
fn path(path: &str) -> Result<(), String> {
    let inner = path.strip_prefix('/').unwrap_or(path);
    if path.is_empty() {
        return Err("the path is empty: the root is `/`".to_owned());
    }
    let bad = |character: char| {
        character.is_whitespace() || character.is_control() || "{}*?#".contains(character)
    };
    if let Some(bad) = inner.chars().find(|character| bad(*character)) {
        return Err(format!(
            "the path `{}` has `{}`: a parameter is a whole segment, such as `:id`, and the rest is plain text",
            path.escape_debug(),
            bad.escape_debug()
        ));
    }
    let mut names: Vec<&str> = Vec::new();
    for param in inner.split('/').filter_map(|segment| segment.strip_prefix(':')) {
        let good = param.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        if param.is_empty() || !good {
            return Err(format!(
                "the path `{path}` has the parameter `:{param}`: its name has letters, digits and `_`"
            ));
        }
        if names.contains(&param) {
            return Err(format!("the path `{path}` has the parameter `:{param}` twice"));
        }
        names.push(param);
    }
    Ok(())
}

/// Checks the id of a function, and what its triggers are told.
pub(super) fn check(
    id: &str,
    location: Location,
    triggers: &[(Binding, Location)],
    problems: &mut Vec<CatalogueProblem>,
) {
    let mut refuse = |checked: Result<(), String>, help: &str, place| {
        if let Err(message) = checked {
            problems.push(CatalogueProblem { message, help: help.to_owned(), locations: vec![place] });
        }
    };
    refuse(
        names::validate("function id", id),
        "use `service::name`, such as `orders::create`",
        location,
    );
    for (binding, place) in triggers {
        let config = || binding.config.parse::<Value>().unwrap_or_default();
        let field = |field: &str, what: &str| {
            let config = config();
            // What is no text is for the engine to judge: it may be a config of somebody's own making.
            config
                .get(field)
                .and_then(Value::as_str)
                .map_or(Ok(()), |text| names::validate(what, text))
        };
        let (checked, help) = match &binding.kind {
            TriggerKind::Http => {
                let of_route = binding.route.as_ref().map_or(Ok(()), |route| path(&route.path));
                (of_route, "write a path such as `/orders/:id`")
            }
            TriggerKind::Queue | TriggerKind::Subscribe => {
                (field("topic", "topic"), "write a topic such as `orders.created`")
            }
            TriggerKind::Stream => (
                field("stream_name", "stream name"),
                "write the name of the stream, such as `chat`",
            ),
            TriggerKind::Other(id) => {
                (names::validate("trigger type", id), "write the id of the type, such as `mail`")
            }
            _ => continue,
        };
        refuse(checked, help, *place);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Texts that nobody means, and somebody sends.
    pub(crate) const UNUSUAL_STRINGS: [&str; 22] = [
        "",
        " ",
        "\t\n",
        "\0",
        "a\0b",
        "a\rb",
        "::",
        ":",
        "/",
        "//",
        "*",
        "{",
        "}",
        "{*rest}",
        "?x=1",
        "../..",
        "ü💥",
        "\u{202e}evil",
        "\u{feff}",
        "%00",
        "\"quoted\\\"",
        "' OR 1=1 --",
    ];

    #[test]
    fn a_name_is_told_what_is_wrong_with_it() {
        assert!(names::validate("topic", "  ").unwrap_err().contains("the topic is blank"));
        assert!(names::validate("topic", "a\0b").unwrap_err().contains(r"`\0`"));
        assert!(
            names::validate("topic", &"x".repeat(names::MAX_BYTES + 1))
                .unwrap_err()
                .contains("1025 bytes")
        );
        assert_eq!(names::validate("topic", "ü: a b"), Ok(()));
    }

    #[test]
    fn a_path_is_told_what_is_wrong_with_it() {
        for good in ["/", "/a/", "a/:id", "/a/:id/b/:_2", "/%20", "/ü"] {
            assert_eq!(path(good), Ok(()), "{good}");
        }
        for bad in ["", "/a/*rest", "/{id}", "/a b", "/a?b", "/a#b", "/:", "/:a-b", "/:a/:a", "/\0"]
        {
            assert!(path(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn nothing_panics_on_awkward_texts() {
        for text in UNUSUAL_STRINGS {
            let _ = (names::validate("name", text), path(text), path(&format!("/{text}/:{text}")));
        }
    }
}

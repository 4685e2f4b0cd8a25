//! Validation of names in trigger configurations, as the macros validate literals: ids, paths, topics.

use serde_json::Value;

use super::CatalogueProblem;
use crate::function::Location;
use crate::names;
use crate::trigger::Binding;
use iii_wire::TriggerKind;

/// Validates the path of an `http` trigger. The leading slash is optional, as on the wire.
///
/// # Errors
///
/// A message that says what is wrong with the path.
fn validate_path(path: &str) -> Result<(), String> {
    let inner = path.strip_prefix('/').unwrap_or(path);
    if path.is_empty() {
        return Err("the path is empty: the root is `/`".to_owned());
    }
    let is_invalid = |character: char| {
        character.is_whitespace() || character.is_control() || "{}*?#".contains(character)
    };
    if let Some(invalid) = inner.chars().find(|character| is_invalid(*character)) {
        return Err(format!(
            "the path `{}` contains `{}`: a parameter is a whole segment, such as `:id`, and the rest is plain text",
            path.escape_debug(),
            invalid.escape_debug()
        ));
    }
    let mut names: Vec<&str> = Vec::new();
    for param in inner.split('/').filter_map(|segment| segment.strip_prefix(':')) {
        let is_word = param.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        if param.is_empty() || !is_word {
            return Err(format!(
                "the path `{path}` has the parameter `:{param}`: a name consists of letters, digits and `_`"
            ));
        }
        if names.contains(&param) {
            return Err(format!("the path `{path}` has the parameter `:{param}` twice"));
        }
        names.push(param);
    }
    Ok(())
}

/// Validates the id of a function, and the names in the configurations of its triggers.
pub(super) fn check(
    id: &str,
    location: Location,
    triggers: &[(Binding, Location)],
    problems: &mut Vec<CatalogueProblem>,
) {
    let mut report = |result: Result<(), String>, help: &str, location| {
        if let Err(message) = result {
            problems.push(CatalogueProblem {
                message,
                help: help.to_owned(),
                locations: vec![location],
            });
        }
    };
    report(
        names::validate("function id", id),
        "use `service::name`, such as `orders::create`",
        location,
    );
    for (binding, location) in triggers {
        let field = |field: &str, kind: &str| {
            let config = binding.config.parse::<Value>().unwrap_or_default();
            // The engine validates a field that is not a string, such as that of a custom configuration.
            config
                .get(field)
                .and_then(Value::as_str)
                .map_or(Ok(()), |name| names::validate(kind, name))
        };
        let (result, help) = match &binding.kind {
            TriggerKind::Http => {
                let route = binding.route.as_ref();
                let result = route.map_or(Ok(()), |route| validate_path(&route.path));
                (result, "write a path such as `/orders/:id`")
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
        report(result, help, *location);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Strings with special characters, as a client may send them.
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
    fn an_invalid_name_is_an_error_that_says_why() {
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
    fn paths_are_validated() {
        for valid in ["/", "/a/", "a/:id", "/a/:id/b/:_2", "/%20", "/ü"] {
            assert_eq!(validate_path(valid), Ok(()), "{valid}");
        }
        let invalid =
            ["", "/a/*rest", "/{id}", "/a b", "/a?b", "/a#b", "/:", "/:a-b", "/:a/:a", "/\0"];
        for path in invalid {
            assert!(validate_path(path).is_err(), "{path}");
        }
    }

    #[test]
    fn validation_does_not_panic_on_unusual_strings() {
        for text in UNUSUAL_STRINGS {
            let _ = names::validate("name", text);
            let _ = (validate_path(text), validate_path(&format!("/{text}/:{text}")));
        }
    }
}

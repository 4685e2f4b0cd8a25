//! The grammar of function ids and service ids: `orders::create`.

/// The maximum length of an id in bytes.
const MAX_BYTES: usize = 256;

/// The services that belong to the engine.
const RESERVED: [&str; 2] = ["engine", "iii"];

/// Checks a function id.
///
/// # Errors
///
/// What is invalid, and what to write instead.
pub(crate) fn check_id(id: &str) -> Result<(), String> {
    if id.is_empty() {
        let help = "write `service::name`, such as `orders::create`";
        return Err(format!("the id is empty\nhelp: {help}"));
    }
    if segments(id)?.len() < 2 {
        return Err(format!(
            "expected an id of at least two segments, found one\n\
             help: write `service::name`, such as `orders::{id}`"
        ));
    }
    check_not_reserved(id)
}

/// Checks the id of a service, which may have one segment.
///
/// # Errors
///
/// As [`check_id`].
pub(crate) fn check_service_id(id: &str) -> Result<(), String> {
    if id.is_empty() {
        return Err("the service id is empty\nhelp: write a word, such as `orders`".to_owned());
    }
    segments(id)?;
    check_not_reserved(id)
}

/// Splits an id, and checks the characters of its segments.
fn segments(id: &str) -> Result<Vec<&str>, String> {
    if id.len() > MAX_BYTES {
        return Err(format!("the id has {} bytes, expected at most {MAX_BYTES}", id.len()));
    }
    if let Some(suggestion) = with_separators(id) {
        return Err(format!("segments of an id are separated by `::`\nhelp: write `{suggestion}`"));
    }
    let segments: Vec<&str> = id.split("::").collect();
    for segment in &segments {
        if segment.is_empty() {
            return Err(format!("the id `{id}` has an empty segment\nhelp: write `service::name`"));
        }
        if let Some(invalid) = segment.chars().find(|character| !is_allowed(*character)) {
            let invalid = if invalid == ':' {
                "unexpected single `:`".to_owned()
            } else {
                format!("invalid character `{}`", invalid.escape_debug())
            };
            return Err(format!(
                "{invalid} in the id\n\
                 help: segments consist of ASCII letters, digits, `_`, `-` and `.`, separated by `::`"
            ));
        }
    }
    Ok(segments)
}

fn check_not_reserved(id: &str) -> Result<(), String> {
    let service = id.split("::").next().unwrap_or_default();
    if RESERVED.contains(&service) {
        return Err(format!(
            "ids that start with `{service}::` are reserved for the engine\n\
             help: choose another service name"
        ));
    }
    Ok(())
}

/// Replaces other separators between the segments with `::`. `None` if the id has no other ones.
fn with_separators(id: &str) -> Option<String> {
    if id.contains("::") {
        return None;
    }
    let words: Vec<&str> = id.split(['/', '.', ':']).collect();
    let is_valid = words.len() > 1
        && words.iter().all(|word| !word.is_empty() && word.chars().all(is_allowed));
    is_valid.then(|| words.join("::"))
}

fn is_allowed(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_ids_pass() {
        for id in ["orders::create", "a::b::c", "a-b::c_d.e", "engineer::x", "iiii::x", "v1::2"] {
            assert_eq!(check_id(id), Ok(()), "{id}");
        }
    }

    #[test]
    fn invalid_ids_are_reported_with_help() {
        for (id, part) in [
            ("", "empty"),
            ("create", "`orders::create`"),
            ("orders/create", "`orders::create`"),
            ("orders.create", "`orders::create`"),
            ("orders:create", "`orders::create`"),
            ("orders::", "empty segment"),
            ("::create", "empty segment"),
            ("a::::b", "empty segment"),
            ("a:::b", "single `:`"),
            ("a::b c", "` `"),
            ("a::b/c", "`/`"),
            ("ä::b", "`ä`"),
            ("engine::x", "reserved"),
            ("iii::x", "reserved"),
        ] {
            let message = check_id(id).unwrap_err();
            assert!(message.contains(part), "{id}: {message}");
        }
        assert!(check_id(&format!("a::{}", "b".repeat(254))).unwrap_err().contains("257 bytes"));
    }
}

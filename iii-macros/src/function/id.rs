//! The grammar of function ids: `orders::create`.

/// The longest id in bytes.
const LONGEST: usize = 256;

/// The services that belong to the engine.
const RESERVED: [&str; 2] = ["engine", "iii"];

/// Checks an id.
///
/// # Errors
///
/// What is wrong with it, and what to write instead.
pub(crate) fn check(id: &str) -> Result<(), String> {
    if id.is_empty() {
        return Err("the id is empty: use `service::name`, such as `orders::create`".to_owned());
    }
    if parts(id)?.len() < 2 {
        return Err(format!("the id has one part: use `service::name`, such as `orders::{id}`"));
    }
    not_reserved(id)
}

/// Checks the id of a service, which may have one part.
///
/// # Errors
///
/// As [`check`].
pub(crate) fn check_service(id: &str) -> Result<(), String> {
    if id.is_empty() {
        return Err("the id of the service is empty: use a word, such as `orders`".to_owned());
    }
    parts(id)?;
    not_reserved(id)
}

/// The parts of an id, each made of what ids may have.
fn parts(id: &str) -> Result<Vec<&str>, String> {
    if id.len() > LONGEST {
        return Err(format!("the id has {} bytes, and at most {LONGEST} are allowed", id.len()));
    }
    if let Some(suggestion) = suggestion(id) {
        return Err(format!("the parts of an id are joined by `::`: write `{suggestion}`"));
    }
    let segments: Vec<&str> = id.split("::").collect();
    for segment in &segments {
        if segment.is_empty() {
            return Err(format!("the id `{id}` has an empty part: use `service::name`"));
        }
        if let Some(bad) = segment.chars().find(|character| !is_allowed(*character)) {
            let bad = if bad == ':' {
                "a single `:`".to_owned()
            } else {
                format!("`{}`", bad.escape_debug())
            };
            return Err(format!(
                "the id has {bad}, but its parts are made of letters, digits, `_`, `-` and `.`, \
                 joined by `::`"
            ));
        }
    }
    Ok(segments)
}

fn not_reserved(id: &str) -> Result<(), String> {
    let service = id.split("::").next().unwrap_or_default();
    if RESERVED.contains(&service) {
        return Err(format!(
            "ids that begin with `{service}::` are reserved for the engine: choose another service name"
        ));
    }
    Ok(())
}

/// The id with `::`, if other marks stand between its words.
fn suggestion(id: &str) -> Option<String> {
    if id.contains("::") {
        return None;
    }
    let words: Vec<&str> = id.split(['/', '.', ':']).collect();
    let good = words.len() > 1
        && words.iter().all(|word| !word.is_empty() && word.chars().all(is_allowed));
    good.then(|| words.join("::"))
}

fn is_allowed(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_ids_pass() {
        for id in ["orders::create", "a::b::c", "a-b::c_d.e", "engineer::x", "iiii::x", "v1::2"] {
            assert_eq!(check(id), Ok(()), "{id}");
        }
    }

    #[test]
    fn bad_ids_say_what_to_write() {
        for (id, part) in [
            ("", "empty"),
            ("create", "`orders::create`"),
            ("orders/create", "`orders::create`"),
            ("orders.create", "`orders::create`"),
            ("orders:create", "`orders::create`"),
            ("orders::", "empty part"),
            ("::create", "empty part"),
            ("a::::b", "empty part"),
            ("a:::b", "single `:`"),
            ("a::b c", "` `"),
            ("a::b/c", "`/`"),
            ("ä::b", "`ä`"),
            ("engine::x", "reserved"),
            ("iii::x", "reserved"),
        ] {
            let message = check(id).unwrap_err();
            assert!(message.contains(part), "{id}: {message}");
        }
        assert!(check(&format!("a::{}", "b".repeat(254))).unwrap_err().contains("257 bytes"));
    }
}

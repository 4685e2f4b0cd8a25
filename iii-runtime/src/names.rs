//! Validation of names: of functions, workers, namespaces and queues.

/// The maximum length of a name, in bytes. Engines accept longer names of some kinds.
pub(crate) const MAX_BYTES: usize = 1024;

/// Validates a name. `kind` says what it names, such as `function id`.
///
/// # Errors
///
/// A message that says what is wrong with the name.
pub(crate) fn validate(kind: &str, name: &str) -> Result<(), String> {
    if name.trim().is_empty() {
        return Err(format!("the {kind} is blank: write a name"));
    }
    if name.len() > MAX_BYTES {
        return Err(format!(
            "the {kind} has {} bytes, and at most {MAX_BYTES} are allowed",
            name.len()
        ));
    }
    match name.chars().find(|character| character.is_control()) {
        Some(control) => Err(format!(
            "the {kind} `{}` contains the control character `{}`: remove it",
            name.escape_debug(),
            control.escape_debug()
        )),
        None => Ok(()),
    }
}

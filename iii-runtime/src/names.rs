//! What names of functions, workers, namespaces and queues must be.

/// The longest name, in bytes. Engines take longer ones of some kinds; nobody means one.
pub(crate) const LONGEST: usize = 1024;

/// Checks a name of any kind: of a function, a worker, a namespace, a queue.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn check(what: &str, text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err(format!("the {what} is blank: write a name"));
    }
    if text.len() > LONGEST {
        return Err(format!(
            "the {what} has {} bytes, and at most {LONGEST} are allowed",
            text.len()
        ));
    }
    match text.chars().find(|character| character.is_control()) {
        Some(bad) => Err(format!(
            "the {what} `{}` has the control character `{}`: leave it out",
            text.escape_debug(),
            bad.escape_debug()
        )),
        None => Ok(()),
    }
}

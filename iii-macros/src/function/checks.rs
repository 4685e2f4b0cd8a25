//! Checks between the parts of one declaration: its triggers with each other, and their paths with the arguments.

use syn::Type;

use super::signature::Parts;
use crate::diagnostics::Errors;
use crate::trigger::{Route, Trigger, path};

/// Types that take exactly one path parameter.
const SINGLE: [&str; 17] = [
    "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize", "f32",
    "f64", "bool", "char", "String",
];

/// Refuses two equal triggers of one function.
pub(crate) fn triggers_differ(triggers: &[Trigger], errors: &mut Errors) {
    for (at, trigger) in triggers.iter().enumerate() {
        if triggers[..at].iter().any(|earlier| earlier.key == trigger.key) {
            errors.between(
                trigger.place,
                "the function has the same trigger twice, and would run twice: remove one",
            );
        }
    }
}

/// Refuses a `Path` that takes another number of parameters than the path has, where it can be seen.
pub(super) fn paths_fit(triggers: &[Trigger], parts: &Parts, errors: &mut Errors) {
    for argument in parts.arguments.iter().filter(|argument| argument.extractor == Some("Path")) {
        let [ty] = argument.parameters()[..] else { continue };
        let Some(wanted) = arity(ty) else { continue };
        for route in triggers.iter().filter_map(|trigger| trigger.route.as_ref()) {
            if let Some(message) = mismatch(wanted, route) {
                errors.on(&argument.ty, message);
                break;
            }
        }
    }
}

/// How many parameters a type takes; `None` for a struct or a map, which take them by name.
fn arity(ty: &Type) -> Option<usize> {
    match ty {
        Type::Tuple(tuple) => Some(tuple.elems.len()),
        Type::Path(path) if path.qself.is_none() => {
            let name = path.path.get_ident()?;
            SINGLE.iter().any(|single| name == single).then_some(1)
        }
        _ => None,
    }
}

fn mismatch(wanted: usize, route: &Route) -> Option<String> {
    let path = route.path.value();
    let names = path::parameters(&path).ok()?;
    if names.len() == wanted {
        return None;
    }
    let count = |count: usize| match count {
        0 => "no parameters".to_owned(),
        1 => "1 parameter".to_owned(),
        count => format!("{count} parameters"),
    };
    Some(format!(
        "this takes {} from the path, but `{path}` has {}",
        count(wanted),
        count(names.len())
    ))
}

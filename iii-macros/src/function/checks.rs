//! Checks across the parts of one declaration: its triggers among each other, and their paths against the arguments.

use syn::Type;

use super::signature::FunctionSignature;
use crate::diagnostics::Errors;
use crate::trigger::{HttpRoute, Trigger, path};

/// Types that deserialize from exactly one path parameter.
const SINGLE_PARAMETER_TYPES: [&str; 17] = [
    "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize", "f32",
    "f64", "bool", "char", "String",
];

/// Reports triggers that occur twice on one function.
pub(crate) fn check_duplicate_triggers(triggers: &[Trigger], errors: &mut Errors) {
    for (at, trigger) in triggers.iter().enumerate() {
        if triggers[..at].iter().any(|earlier| earlier.key == trigger.key) {
            errors.at_range(
                trigger.span,
                "duplicate trigger: the function would run twice for each event\n\
                 help: remove one of the two",
            );
        }
    }
}

/// Reports a `Path` argument whose number of parameters differs from that of the path, if both are known.
pub(super) fn check_path_parameters(
    triggers: &[Trigger],
    signature: &FunctionSignature,
    errors: &mut Errors,
) {
    let arguments = signature.arguments.iter();
    for argument in arguments.filter(|argument| argument.extractor == Some("Path")) {
        let [ty] = argument.type_parameters()[..] else { continue };
        let Some(expected) = parameter_count(ty) else { continue };
        for route in triggers.iter().filter_map(|trigger| trigger.route.as_ref()) {
            if let Some(message) = mismatch(expected, route) {
                errors.on(&argument.ty, message);
                break;
            }
        }
    }
}

/// Returns how many parameters a type takes; `None` for a struct or a map, which take them by name.
fn parameter_count(ty: &Type) -> Option<usize> {
    match ty {
        Type::Tuple(tuple) => Some(tuple.elems.len()),
        Type::Path(path) if path.qself.is_none() => {
            let name = path.path.get_ident()?;
            SINGLE_PARAMETER_TYPES.iter().any(|single| name == single).then_some(1)
        }
        _ => None,
    }
}

fn mismatch(expected: usize, route: &HttpRoute) -> Option<String> {
    let path = route.path.value();
    let found = path::parameters(&path).ok()?.len();
    if found == expected {
        return None;
    }
    let plural = if expected == 1 { "" } else { "s" };
    Some(format!(
        "expected {expected} path parameter{plural}, found {found} in `{path}`\n\
         help: change the type of the argument, or the parameters of the path"
    ))
}

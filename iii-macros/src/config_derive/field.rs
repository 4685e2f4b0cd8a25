//! A field of a configuration: its key, its environment variable, its default and its bounds.

use proc_macro2::Span;
use syn::ext::IdentExt as _;
use syn::{Expr, ExprLit, ExprUnary, Ident, Lit, LitStr, Type, UnOp};

use super::names;
use super::parse::config_options;
use crate::diagnostics::{Errors, SpanRange};
use crate::docs;
use crate::options::{MacroOptions, found, literal};

/// The options of a field.
const OPTIONS: &[&str] = &["default", "env", "secret", "nested", "rename", "min", "max"];

/// A parsed field.
pub(super) struct ConfigField {
    pub(super) name: Ident,
    pub(super) ty: Type,
    /// The span of the type.
    pub(super) span: SpanRange,
    pub(super) key: String,
    pub(super) description: Option<String>,
    pub(super) variable: EnvVariable,
    pub(super) is_secret: bool,
    pub(super) is_nested: bool,
    pub(super) default: FieldDefault,
    pub(super) min: Option<FieldBound>,
    pub(super) max: Option<FieldBound>,
}

/// The environment variable that sets a field.
pub(super) enum EnvVariable {
    /// The prefix and the key.
    Derived,
    Named(String),
    None,
}

/// The default of a field.
pub(super) enum FieldDefault {
    None,
    /// The `Default` of the type. The span is that of the option.
    OfType(Span),
    /// A string that is parsed as the type.
    Text(LitStr),
    /// An expression of the type.
    Value(Box<Expr>),
}

/// The minimum or the maximum of a field.
pub(super) struct FieldBound {
    /// The value as messages show it.
    pub(super) text: String,
    pub(super) is_duration: bool,
    pub(super) span: SpanRange,
    /// `min` or `max`.
    pub(super) option: &'static str,
}

/// Returns whether a string is a duration.
pub(super) fn is_duration(text: &str) -> bool {
    humantime::parse_duration(text.trim()).is_ok()
}

impl ConfigField {
    /// Parses a field. `None` if it is invalid, which is reported.
    pub(super) fn parse(field: &syn::Field, errors: &mut Errors) -> Option<Self> {
        let name = field.ident.clone()?;
        let mut options = config_options(&field.attrs, name.span(), errors);
        options.check(OPTIONS, errors);
        let secret = take_flag(&mut options, "secret", errors);
        let nested = take_flag(&mut options, "nested", errors);
        if let Some(nested) = nested {
            let conflicting = ["default", "min", "max"];
            let conflicting = conflicting.iter().find(|option| options.has(option)).copied();
            if let Some(option) = conflicting.or_else(|| secret.map(|_| "secret")) {
                let message = format!(
                    "`{option}` conflicts with `nested`\n\
                     help: apply it to the fields of the nested type"
                );
                errors.at(nested, message);
                return None;
            }
        }
        let default = match options.take_flag("default") {
            Some(span) => FieldDefault::OfType(span),
            None => match options.take("default", errors) {
                None => FieldDefault::None,
                Some(expr) => match literal(&expr) {
                    Some(text) => FieldDefault::Text(text),
                    None => FieldDefault::Value(Box::new(expr)),
                },
            },
        };
        let rename = options.take_str("rename", "db-url", errors);
        if let Some(text) = rename.as_ref().filter(|text| text.value().trim().is_empty()) {
            errors.on(text, "the configuration key is empty\nhelp: write `rename = \"db-url\"`");
        }
        let key = rename.map_or_else(|| name.unraw().to_string(), |text| text.value());
        let variable = take_variable(&mut options, nested.is_some(), errors);
        let min = take_bound(&mut options, "min", errors);
        let max = take_bound(&mut options, "max", errors);
        options.finish(errors);
        if let (Some(min), Some(max)) = (&min, &max) {
            check_order(min, max, errors);
        }
        Some(Self {
            span: SpanRange::of(&field.ty),
            ty: field.ty.clone(),
            key,
            description: docs::comment(&field.attrs),
            variable,
            is_secret: secret.is_some(),
            is_nested: nested.is_some(),
            default,
            min,
            max,
            name,
        })
    }
}

/// Takes a flag, and reports one with a value.
fn take_flag(options: &mut MacroOptions, name: &str, errors: &mut Errors) -> Option<Span> {
    let span = options.take_flag(name);
    if span.is_none()
        && let Some(expr) = options.take(name, errors)
    {
        let help = format!("write `{name}` alone, or remove it");
        errors.on(&expr, format!("unexpected value of `{name}`\nhelp: {help}"));
    }
    span
}

/// Takes the environment variable. That of a nested field is a prefix.
fn take_variable(options: &mut MacroOptions, is_nested: bool, errors: &mut Errors) -> EnvVariable {
    let Some(expr) = options.take("env", errors) else { return EnvVariable::Derived };
    if let Expr::Lit(ExprLit { lit: Lit::Bool(value), .. }) = &expr
        && !is_nested
    {
        return if value.value { EnvVariable::Derived } else { EnvVariable::None };
    }
    let Some(text) = literal(&expr) else {
        let found = found(&expr);
        let message = if is_nested {
            format!(
                "expected a prefix of environment variables for `env`, found {found}\n\
                 help: write `env = \"SMTP\"`"
            )
        } else {
            format!(
                "expected the name of an environment variable or `false` for `env`, found {found}\n\
                 help: write `env = \"ORDERS_DB_URL\"`"
            )
        };
        errors.on(&expr, message);
        return EnvVariable::Derived;
    };
    let check = if is_nested { names::check_prefix } else { names::check_variable };
    if let Err(message) = check(&text.value()) {
        errors.on(&text, message);
    }
    EnvVariable::Named(text.value())
}

fn take_bound(
    options: &mut MacroOptions,
    option: &'static str,
    errors: &mut Errors,
) -> Option<FieldBound> {
    let expr = options.take(option, errors)?;
    let span = SpanRange::of(&expr);
    if let Some(text) = literal(&expr).filter(|text| is_duration(&text.value())) {
        return Some(FieldBound { text: text.value(), is_duration: true, span, option });
    }
    let Some(text) = json_number(&expr) else {
        let message = format!(
            "expected a number or a duration for `{option}`, found {}\n\
             help: write `{option} = 1` or `{option} = \"1s\"`",
            found(&expr)
        );
        errors.on(&expr, message);
        return None;
    };
    Some(FieldBound { text, is_duration: false, span, option })
}

/// Formats a number literal as JSON.
fn json_number(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Lit(ExprLit { lit: Lit::Int(int), .. }) => Some(int.base10_digits().to_owned()),
        Expr::Lit(ExprLit { lit: Lit::Float(float), .. }) => {
            let value: f64 = float.base10_parse().ok()?;
            Some(value.to_string())
        }
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => {
            json_number(expr).map(|number| format!("-{number}"))
        }
        Expr::Group(group) => json_number(&group.expr),
        _ => None,
    }
}

/// Reports a maximum below the minimum.
fn check_order(min: &FieldBound, max: &FieldBound, errors: &mut Errors) {
    let number = |bound: &FieldBound| bound.text.parse::<f64>().ok();
    let duration = |bound: &FieldBound| humantime::parse_duration(bound.text.trim()).ok();
    let is_below = if min.is_duration && max.is_duration {
        duration(min) > duration(max)
    } else {
        number(min).zip(number(max)).is_some_and(|(min, max)| min > max)
    };
    if is_below {
        let message =
            format!("`max` is less than `min`\nhelp: write a value of at least {}", min.text);
        errors.at_range(max.span, message);
    }
}

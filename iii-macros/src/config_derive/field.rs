//! One field of a configuration: its key, its variable, its default and its bounds.

use proc_macro2::Span;
use syn::ext::IdentExt as _;
use syn::{Expr, ExprLit, ExprUnary, Ident, Lit, LitStr, Type, UnOp};

use super::names;
use super::parse::options_of;
use crate::diagnostics::{Ends, Errors};
use crate::docs;
use crate::options::{Options, literal};

/// The options of a field.
const OPTIONS: &[&str] = &["default", "env", "secret", "nested", "rename", "min", "max"];

/// A field.
pub(super) struct Field {
    pub(super) name: Ident,
    pub(super) ty: Type,
    pub(super) ends: Ends,
    pub(super) key: String,
    pub(super) description: Option<String>,
    pub(super) variable: Variable,
    pub(super) secret: bool,
    pub(super) nested: bool,
    pub(super) default: Default,
    pub(super) min: Option<Bound>,
    pub(super) max: Option<Bound>,
}

/// The variable of a field.
pub(super) enum Variable {
    /// Made of the prefix and the key.
    Derived,
    Named(String),
    None,
}

/// The default of a field.
pub(super) enum Default {
    None,
    /// That of its type.
    OfType(Span),
    /// Text, which its type reads.
    Text(LitStr),
    /// A value of its type.
    Value(Box<Expr>),
}

/// The least or the greatest value of a field.
pub(super) struct Bound {
    /// As messages show it.
    pub(super) text: String,
    pub(super) is_duration: bool,
    pub(super) ends: Ends,
    /// `min` or `max`.
    pub(super) option: &'static str,
}

/// Whether a text is a span of time.
pub(super) fn is_duration(text: &str) -> bool {
    humantime::parse_duration(text.trim()).is_ok()
}

impl Field {
    /// Reads a field. `None` if nothing can be made of it.
    pub(super) fn parse(field: &syn::Field, errors: &mut Errors) -> Option<Self> {
        let name = field.ident.clone()?;
        let mut options = options_of(&field.attrs, name.span(), errors);
        options.check(OPTIONS, errors);
        let secret = flag(&mut options, "secret", errors);
        let nested = flag(&mut options, "nested", errors);
        if nested.is_some() {
            let others = ["default", "min", "max"];
            let other = others.iter().find(|other| options.has(other)).copied();
            if let Some(other) = other.or_else(|| secret.map(|_| "secret")) {
                let text = format!(
                    "`{other}` cannot be said of a nested field: say it of the fields inside"
                );
                errors.at(nested.unwrap_or_else(Span::call_site), text);
                return None;
            }
        }
        let default = match options.take_flag("default") {
            Some(span) => Default::OfType(span),
            None => match options.take("default", errors) {
                None => Default::None,
                Some(expr) => match literal(&expr) {
                    Some(text) => Default::Text(text),
                    None => Default::Value(Box::new(expr)),
                },
            },
        };
        let rename = options.take_str("rename", "db-url", errors);
        if let Some(text) = rename.as_ref().filter(|text| text.value().trim().is_empty()) {
            errors.on(text, "the key is empty");
        }
        let key = rename.map_or_else(|| name.unraw().to_string(), |text| text.value());
        let variable = variable(&mut options, nested.is_some(), errors);
        let min = bound(&mut options, "min", errors);
        let max = bound(&mut options, "max", errors);
        options.finish(errors);
        if let (Some(min), Some(max)) = (&min, &max) {
            in_order(min, max, errors);
        }
        Some(Self {
            ends: Ends::of(&field.ty),
            ty: field.ty.clone(),
            key,
            description: docs::text(&field.attrs),
            variable,
            secret: secret.is_some(),
            nested: nested.is_some(),
            default,
            min,
            max,
            name,
        })
    }
}

/// Takes a word that stands alone.
fn flag(options: &mut Options, name: &str, errors: &mut Errors) -> Option<Span> {
    let span = options.take_flag(name);
    if span.is_none()
        && let Some(expr) = options.take(name, errors)
    {
        errors.on(&expr, format!("`{name}` has no value: write it alone, or leave it out"));
    }
    span
}

fn variable(options: &mut Options, nested: bool, errors: &mut Errors) -> Variable {
    let Some(expr) = options.take("env", errors) else { return Variable::Derived };
    if let Expr::Lit(ExprLit { lit: Lit::Bool(value), .. }) = &expr
        && !nested
    {
        return if value.value { Variable::Derived } else { Variable::None };
    }
    let Some(text) = literal(&expr) else {
        let wanted = if nested {
            "`env` of a nested field is what its variables begin with, such as `env = \"SMTP\"`"
        } else {
            "`env` is the name of a variable, such as `env = \"ORDERS_DB_URL\"`, or `false`"
        };
        errors.on(&expr, wanted);
        return Variable::Derived;
    };
    let check = if nested { names::check_prefix } else { names::check_variable };
    if let Err(message) = check(&text.value()) {
        errors.on(&text, message);
    }
    Variable::Named(text.value())
}

fn bound(options: &mut Options, name: &'static str, errors: &mut Errors) -> Option<Bound> {
    let expr = options.take(name, errors)?;
    let ends = Ends::of(&expr);
    if let Some(text) = literal(&expr).filter(|text| is_duration(&text.value())) {
        return Some(Bound { text: text.value(), is_duration: true, ends, option: name });
    }
    match number(&expr) {
        Some(text) => Some(Bound { text, is_duration: false, ends, option: name }),
        None => {
            errors.on(
                &expr,
                format!("`{name}` is a number, such as `{name} = 1`, or a span of time, such as `{name} = \"1s\"`"),
            );
            None
        }
    }
}

/// A number as JSON writes it.
fn number(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Lit(ExprLit { lit: Lit::Int(int), .. }) => Some(int.base10_digits().to_owned()),
        Expr::Lit(ExprLit { lit: Lit::Float(float), .. }) => {
            let value: f64 = float.base10_parse().ok()?;
            Some(value.to_string())
        }
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => {
            number(expr).map(|number| format!("-{number}"))
        }
        Expr::Group(group) => number(&group.expr),
        _ => None,
    }
}

fn in_order(min: &Bound, max: &Bound, errors: &mut Errors) {
    let number = |bound: &Bound| bound.text.parse::<f64>().ok();
    let time = |bound: &Bound| humantime::parse_duration(bound.text.trim()).ok();
    let wrong = if min.is_duration && max.is_duration {
        time(min) > time(max)
    } else {
        number(min).zip(number(max)).is_some_and(|(min, max)| min > max)
    };
    if wrong {
        let text = format!("`max` is less than `min`, which is {}", min.text);
        errors.between(max.ends, text);
    }
}

//! Values of options: literals, paths, and how messages name what was found.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Expr, ExprLit, Lit, LitStr, Path, UnOp};

use crate::diagnostics::Errors;

/// A string that is known to the macro, or the path of a constant that is not.
#[derive(Clone)]
pub(crate) enum StringOrPath {
    Literal(LitStr),
    Path(Path),
}

impl StringOrPath {
    /// Returns the literal, if it is one.
    pub(crate) fn literal(&self) -> Option<&LitStr> {
        match self {
            Self::Literal(literal) => Some(literal),
            Self::Path(_) => None,
        }
    }
}

impl ToTokens for StringOrPath {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Literal(literal) => literal.to_tokens(tokens),
            Self::Path(path) => path.to_tokens(tokens),
        }
    }
}

/// Parses a string literal, or the path of a constant. `subject` names the value in messages.
pub(crate) fn string_or_path(
    expr: &Expr,
    subject: &str,
    example: &str,
    errors: &mut Errors,
) -> Option<StringOrPath> {
    if let Some(literal) = literal(expr) {
        return Some(StringOrPath::Literal(literal));
    }
    if let Expr::Path(path) = expr
        && path.qself.is_none()
    {
        return Some(StringOrPath::Path(path.path.clone()));
    }
    let message = format!(
        "expected a string or the path of a constant for {subject}, found {}\n\
         help: write `{example}`",
        found(expr)
    );
    errors.on(expr, message);
    None
}

/// Parses a path as the value of the option `name`. `expected` says what the path refers to.
pub(crate) fn path(
    expr: &Expr,
    name: &str,
    expected: &str,
    example: &str,
    errors: &mut Errors,
) -> Option<Path> {
    match expr {
        Expr::Path(path) if path.qself.is_none() => Some(path.path.clone()),
        _ => {
            let message = format!(
                "expected {expected} for `{name}`, found {}\n\
                 help: write `{example}`, without quotes or parentheses",
                found(expr)
            );
            errors.on(expr, message);
            None
        }
    }
}

/// Returns the string literal that an expression is.
pub(crate) fn literal(expr: &Expr) -> Option<LitStr> {
    match expr {
        Expr::Lit(ExprLit { lit: Lit::Str(literal), .. }) => Some(literal.clone()),
        Expr::Group(group) => literal(&group.expr),
        _ => None,
    }
}

/// Describes an expression in a message: what follows "found".
pub(crate) fn found(expr: &Expr) -> String {
    let kind = match expr {
        Expr::Group(group) => return found(&group.expr),
        Expr::Lit(ExprLit { lit, .. }) => match lit {
            Lit::Str(_) => "string",
            Lit::Int(_) => "integer",
            Lit::Float(_) => "float",
            Lit::Bool(_) => "boolean",
            Lit::Char(_) => "character",
            _ => "literal",
        },
        Expr::Unary(unary) if matches!((&unary.op, &*unary.expr), (UnOp::Neg(_), Expr::Lit(_))) => {
            "number"
        }
        Expr::Path(_) => "path",
        Expr::Array(_) => return "array".to_owned(),
        Expr::Tuple(_) => return "tuple".to_owned(),
        Expr::Call(_) => return "function call".to_owned(),
        Expr::MethodCall(_) => return "method call".to_owned(),
        Expr::Macro(_) => return "macro invocation".to_owned(),
        Expr::Closure(_) => return "closure".to_owned(),
        Expr::Struct(_) => return "struct expression".to_owned(),
        _ => return "expression".to_owned(),
    };
    let text = expr.to_token_stream().to_string();
    // Tokens of a path are printed with spaces between them; those of a literal are not.
    let text = if matches!(expr, Expr::Lit(_)) { text } else { text.replace(' ', "") };
    format!("{kind} `{text}`")
}

/// Removes the invisible groups around a value that another macro produced.
pub(super) fn ungrouped(expr: Expr) -> Expr {
    match expr {
        Expr::Group(group) => ungrouped(*group.expr),
        expr => expr,
    }
}

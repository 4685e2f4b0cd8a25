//! The options of `#[iii::function]`.

use proc_macro2::TokenStream;
use syn::{Expr, ExprLit, Ident, Lit, LitStr, Path};

use super::id::check_id;
use crate::diagnostics::{Errors, SpanRange};
use crate::options::{MacroOptions, StringOrPath, found, literal};

const OPTIONS: &[&str] =
    &["id", "description", "metadata", "timeout", "concurrency", "intercept", "stub", "crate"];

/// The options of a declared function.
pub(super) struct FunctionOptions {
    /// `None` if it is missing or invalid.
    pub(super) id: Option<StringOrPath>,
    /// Replaces the doc comment.
    pub(super) description: Option<LitStr>,
    /// An expression of a type that implements `Serialize`.
    pub(super) metadata: Option<Expr>,
    /// In milliseconds.
    pub(super) timeout: Option<u64>,
    /// At least 1.
    pub(super) concurrency: Option<u32>,
    /// The interceptors, the outermost first.
    pub(super) intercept: Vec<Expr>,
    pub(super) stub: Stub,
    pub(super) krate: Option<Path>,
}

/// The type for typed calls of a function.
pub(crate) enum Stub {
    /// It has the name of the function.
    SameName,
    /// It has a name of its own.
    Named(Ident),
    /// There is none.
    None,
}

impl Stub {
    /// Returns the name of the stub of `function`.
    pub(crate) fn name<'a>(&'a self, function: &'a Ident) -> Option<&'a Ident> {
        match self {
            Self::SameName => Some(function),
            Self::Named(name) => Some(name),
            Self::None => None,
        }
    }
}

impl FunctionOptions {
    /// Parses the options of an attribute at `span`.
    pub(super) fn parse(tokens: TokenStream, span: SpanRange, errors: &mut Errors) -> Self {
        let mut options = MacroOptions::parse(tokens, span, errors);
        options.check(OPTIONS, errors);
        let id = take_id(&mut options, errors);
        let parsed = Self {
            id,
            description: options.take_str("description", "Creates an order.", errors),
            metadata: options.take("metadata", errors),
            timeout: options.take_duration("timeout", errors),
            concurrency: options.take_integer("concurrency", 1, errors),
            intercept: options
                .take_array("intercept", "interceptors", "[Traced::new()]", errors)
                .map_or_else(Vec::new, |array| array.elems.into_iter().collect()),
            stub: take_stub(&mut options, errors),
            krate: options.take_crate(errors),
        };
        options.finish(errors);
        parsed
    }
}

/// Takes the id. A literal is checked.
pub(crate) fn take_id(options: &mut MacroOptions, errors: &mut Errors) -> Option<StringOrPath> {
    if !options.has("id") {
        match options.take_positional() {
            Some(expr) => {
                let help = match literal(&expr) {
                    Some(literal) => format!("write `id = {:?}`", literal.value()),
                    None => "write `id = \"service::name\"`".to_owned(),
                };
                let found = found(&expr);
                errors.on(&expr, format!("expected `id = …`, found {found}\nhelp: {help}"));
            }
            None => errors.at_range(
                options.span,
                "missing option `id`\n\
                 help: add `id = \"service::name\"`, such as `id = \"orders::create\"`",
            ),
        }
        return None;
    }
    let id = options.take_string_or_path("id", "orders::create", errors)?;
    if let Some(literal) = id.literal()
        && let Err(message) = check_id(&literal.value())
    {
        errors.on(literal, message);
        return None;
    }
    Some(id)
}

/// Takes the option `stub`.
pub(crate) fn take_stub(options: &mut MacroOptions, errors: &mut Errors) -> Stub {
    let Some(expr) = options.take("stub", errors) else { return Stub::SameName };
    match &expr {
        Expr::Lit(ExprLit { lit: Lit::Bool(bool), .. }) => {
            if bool.value {
                Stub::SameName
            } else {
                Stub::None
            }
        }
        Expr::Path(path) if path.path.get_ident().is_some() => {
            path.path.get_ident().cloned().map_or(Stub::SameName, Stub::Named)
        }
        _ => {
            let message = format!(
                "expected the name of a type or `false` for `stub`, found {}\n\
                 help: write `stub = Create`",
                found(&expr)
            );
            errors.on(&expr, message);
            Stub::SameName
        }
    }
}

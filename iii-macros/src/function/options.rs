//! The options of `#[iii::function]`.

use proc_macro2::TokenStream;
use syn::{Expr, ExprArray, ExprLit, Ident, Lit, LitStr, Path};

use super::id;
use crate::diagnostics::{Ends, Errors};
use crate::options::{Options, Text, literal};

/// All names.
const OPTIONS: &[&str] =
    &["id", "description", "metadata", "timeout", "concurrency", "intercept", "stub", "crate"];

/// What is said about a function.
pub(crate) struct FunctionOptions {
    /// The id; `None` after a mistake.
    pub(crate) id: Option<Text>,
    /// Replaces the doc comment.
    pub(crate) description: Option<LitStr>,
    /// Any value that can be serialised.
    pub(crate) metadata: Option<Expr>,
    /// In milliseconds.
    pub(crate) timeout: Option<u64>,
    /// At least one.
    pub(crate) concurrency: Option<u32>,
    /// The interceptors, the outermost first.
    pub(crate) intercept: Vec<Expr>,
    /// The type for typed calls.
    pub(crate) stub: Stub,
    /// The path of the runtime.
    pub(crate) krate: Option<Path>,
}

/// The type for typed calls.
pub(crate) enum Stub {
    /// It has the name of the function.
    SameName,
    /// It has a name of its own.
    Named(Ident),
    /// There is none.
    None,
}

impl FunctionOptions {
    /// Reads the options of an attribute at `place`.
    pub(crate) fn parse(tokens: TokenStream, place: Ends, errors: &mut Errors) -> Self {
        let mut options = Options::parse(tokens, place, errors);
        options.check(OPTIONS, errors);
        let id = take_id(&mut options, errors);
        let parsed = Self {
            id,
            description: options.take_str("description", "Creates an order.", errors),
            metadata: options.take("metadata", errors),
            timeout: options.take_duration("timeout", errors),
            concurrency: options.take_number("concurrency", 1, errors),
            intercept: take_intercept(&mut options, errors),
            stub: take_stub(&mut options, errors),
            krate: options.take_path("crate", "a path, such as `crate = ::iii`", errors),
        };
        options.finish(errors);
        parsed
    }
}

/// Takes the id, and checks it as far as it is known.
pub(crate) fn take_id(options: &mut Options, errors: &mut Errors) -> Option<Text> {
    if !options.has("id") {
        match options.take_positional() {
            Some(expr) if literal(&expr).is_some() => {
                errors.on(&expr, "the id needs its name: write `id = \"service::name\"`");
            }
            Some(expr) => errors.on(expr, "a value without a name: write `id = \"service::name\"`"),
            None => errors.between(
                options.place,
                "the function has no id: add `id = \"service::name\"`, such as `orders::create`",
            ),
        }
        return None;
    }
    let text = options.take_text("id", "orders::create", errors)?;
    if let Some(literal) = text.literal()
        && let Err(message) = id::check(&literal.value())
    {
        errors.on(literal, message);
        return None;
    }
    Some(text)
}

fn take_intercept(options: &mut Options, errors: &mut Errors) -> Vec<Expr> {
    match options.take("intercept", errors) {
        None => Vec::new(),
        Some(Expr::Array(ExprArray { elems, .. })) => elems.into_iter().collect(),
        Some(expr) => {
            let message = "`intercept` takes a list of interceptors, also of one: \
                           `intercept = [Traced::new()]`";
            errors.on(&expr, message);
            Vec::new()
        }
    }
}

/// Takes the name of the type for typed calls.
pub(crate) fn take_stub(options: &mut Options, errors: &mut Errors) -> Stub {
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
            errors.on(&expr, "`stub` is the name of a type, such as `stub = Create`, or `false`");
            Stub::SameName
        }
    }
}

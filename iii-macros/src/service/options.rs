//! The options of `#[iii::service]`.

use proc_macro2::TokenStream;
use syn::{Expr, ExprArray, LitStr, Path};

use crate::diagnostics::{Ends, Errors};
use crate::options::{Options, literal};

/// All names.
const OPTIONS: &[&str] = &["id", "name", "description", "parent", "intercept", "crate"];

/// What is said about a service.
pub(super) struct ServiceOptions {
    /// The id; `None` if it is that of the module.
    pub(super) id: Option<LitStr>,
    /// Whether an id was given that cannot be one, which was said already.
    pub(super) has_bad_id: bool,
    /// The name for people.
    pub(super) name: Option<LitStr>,
    /// Replaces the doc comment.
    pub(super) description: Option<LitStr>,
    /// The service it belongs to.
    pub(super) parent: Option<Parent>,
    /// What runs around each function, before what the function says itself.
    pub(super) intercept: Option<ExprArray>,
    /// The path of the runtime.
    pub(super) krate: Option<Path>,
}

/// The service that another one belongs to.
pub(super) enum Parent {
    /// By its id: it may be one of another worker.
    Id(LitStr),
    /// By its module.
    Module(Path),
}

impl ServiceOptions {
    /// Reads the options of an attribute at `place`.
    pub(super) fn parse(tokens: TokenStream, place: Ends, errors: &mut Errors) -> Self {
        let mut options = Options::parse(tokens, place, errors);
        options.check(OPTIONS, errors);
        let said = options.has("id");
        let id = options.take_str("id", "orders", errors);
        let parsed = Self {
            has_bad_id: said && id.is_none(),
            id,
            name: options.take_str("name", "Orders", errors),
            description: options.take_str("description", "Orders of the shop.", errors),
            parent: take_parent(&mut options, errors),
            intercept: take_intercept(&mut options, errors),
            krate: options.take_path("crate", "a path, such as `crate = ::iii`", errors),
        };
        options.finish(errors);
        parsed
    }
}

fn take_parent(options: &mut Options, errors: &mut Errors) -> Option<Parent> {
    let expr = options.take("parent", errors)?;
    if let Some(id) = literal(&expr) {
        return match crate::function::check_service_id(&id.value()) {
            Ok(()) => Some(Parent::Id(id)),
            Err(message) => {
                errors.on(&id, message);
                None
            }
        };
    }
    match expr {
        Expr::Path(path) if path.qself.is_none() => Some(Parent::Module(path.path)),
        other => {
            errors.on(
                other,
                "`parent` is the id of a service, such as `parent = \"shop\"`, or the path of its module",
            );
            None
        }
    }
}

fn take_intercept(options: &mut Options, errors: &mut Errors) -> Option<ExprArray> {
    match options.take("intercept", errors)? {
        Expr::Array(array) => Some(array),
        other => {
            errors.on(other, "`intercept` is a list: write `intercept = [audit, …]`");
            None
        }
    }
}

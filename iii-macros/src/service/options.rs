//! The options of `#[iii::service]`.

use proc_macro2::TokenStream;
use syn::{Expr, ExprArray, LitStr, Path};

use crate::diagnostics::{Errors, SpanRange};
use crate::function::check_service_id;
use crate::options::{MacroOptions, found, literal};

const OPTIONS: &[&str] = &["id", "name", "description", "parent", "intercept", "crate"];

/// The options of a service.
pub(super) struct ServiceOptions {
    /// `None` for the name of the module.
    pub(super) id: Option<LitStr>,
    /// Whether the option `id` is invalid, which was reported.
    pub(super) has_invalid_id: bool,
    /// The display name.
    pub(super) name: Option<LitStr>,
    /// Replaces the doc comment.
    pub(super) description: Option<LitStr>,
    pub(super) parent: Option<ParentService>,
    /// Interceptors of each function, outside of those of the function.
    pub(super) intercept: Option<ExprArray>,
    pub(super) krate: Option<Path>,
}

/// The service that another one is part of.
pub(super) enum ParentService {
    /// Its id. Another worker may declare it.
    Id(LitStr),
    /// Its module.
    Module(Path),
}

impl ServiceOptions {
    /// Parses the options of an attribute at `span`.
    pub(super) fn parse(tokens: TokenStream, span: SpanRange, errors: &mut Errors) -> Self {
        let mut options = MacroOptions::parse(tokens, span, errors);
        options.check(OPTIONS, errors);
        let has_id = options.has("id");
        let id = options.take_str("id", "orders", errors);
        let parsed = Self {
            has_invalid_id: has_id && id.is_none(),
            id,
            name: options.take_str("name", "Orders", errors),
            description: options.take_str("description", "Orders of the shop.", errors),
            parent: take_parent(&mut options, errors),
            intercept: options.take_array("intercept", "interceptors", "[audit, …]", errors),
            krate: options.take_crate(errors),
        };
        options.finish(errors);
        parsed
    }
}

fn take_parent(options: &mut MacroOptions, errors: &mut Errors) -> Option<ParentService> {
    let expr = options.take("parent", errors)?;
    if let Some(id) = literal(&expr) {
        return match check_service_id(&id.value()) {
            Ok(()) => Some(ParentService::Id(id)),
            Err(message) => {
                errors.on(&id, message);
                None
            }
        };
    }
    match expr {
        Expr::Path(path) if path.qself.is_none() => Some(ParentService::Module(path.path)),
        other => {
            let message = format!(
                "expected the id of a service or the path of its module for `parent`, found {}\n\
                 help: write `parent = \"shop\"`",
                found(&other)
            );
            errors.on(&other, message);
            None
        }
    }
}

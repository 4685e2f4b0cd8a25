//! The fields of an error: their roles, and the attributes that choose them.

use proc_macro2::Span;
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Attribute, Fields, Index, Member, Type};

use crate::derive::helper_options;
use crate::diagnostics::Errors;
use crate::options::MacroOptions;

/// A field of a variant.
pub(super) struct ErrorField {
    pub(super) member: Member,
    pub(super) name: String,
    pub(super) ty: Type,
    pub(super) role: FieldRole,
    /// Whether it has `#[from]`.
    pub(super) from: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldRole {
    /// Part of the details that callers receive, by name.
    Detail,
    /// The source of the error, which is logged and not sent.
    Source,
    /// Kept out of the details by `#[error(skip)]`.
    Skipped,
}

/// Parses the options of the `#[error(…)]` attributes of an item.
pub(super) fn error_options(
    attributes: &[Attribute],
    span: Span,
    errors: &mut Errors,
) -> Option<MacroOptions> {
    helper_options(attributes, "error", "code = \"service/not-found\"", span, errors)
}

/// Parses the fields of a variant, and reports conflicting attributes.
pub(super) fn parse_fields(fields: &Fields, errors: &mut Errors) -> Vec<ErrorField> {
    let mut parsed: Vec<ErrorField> = Vec::new();
    for (at, field) in fields.iter().enumerate() {
        let find = |name: &str| field.attrs.iter().find(|attr| attr.path().is_ident(name));
        let (from, source) = (find("from"), find("source"));
        let is_skipped = is_skipped(&field.attrs, errors);
        let is_named_source = field.ident.as_ref().is_some_and(|name| name == "source");
        let role = if from.is_some() || source.is_some() || is_named_source {
            FieldRole::Source
        } else if is_skipped {
            FieldRole::Skipped
        } else {
            FieldRole::Detail
        };
        if let Some(attribute) = from.or(source)
            && parsed.iter().any(|earlier| earlier.role == FieldRole::Source)
        {
            errors.on(
                attribute,
                "duplicate source: an error has at most one\nhelp: remove one of the two",
            );
        }
        if let Some(from) = from
            && fields.len() > 1
        {
            errors.on(
                from,
                "`#[from]` requires a variant with one field\nhelp: write `#[source]` instead",
            );
        }
        let (member, name) = match &field.ident {
            Some(name) => (Member::Named(name.clone()), name.unraw().to_string()),
            None => {
                let mut index = Index::from(at);
                index.span = field.ty.span();
                (Member::Unnamed(index), at.to_string())
            }
        };
        parsed.push(ErrorField { member, name, ty: field.ty.clone(), role, from: from.is_some() });
    }
    parsed
}

/// Returns whether a field has `#[error(skip)]`.
fn is_skipped(attributes: &[Attribute], errors: &mut Errors) -> bool {
    let Some(mut options) = error_options(attributes, Span::call_site(), errors) else {
        return false;
    };
    let is_skipped = options.take_flag("skip").is_some();
    options.check(&["skip"], errors);
    options.finish(errors);
    is_skipped
}

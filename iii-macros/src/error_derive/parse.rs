//! The error type: its variants and their attributes.

use proc_macro2::Span;
use quote::ToTokens as _;
use syn::ext::IdentExt as _;
use syn::{Attribute, Data, DeriveInput, Expr, ExprLit, Fields, Ident, Lit, LitStr, Path};

use super::code::{check_code, kebab_case};
use super::field::{ErrorField, FieldRole, error_options, parse_fields};
use super::message::FormatMessage;
use crate::diagnostics::Errors;
use crate::docs;
use crate::options::{MacroOptions, found, literal};

/// The options of a variant.
const OPTIONS: &[&str] =
    &["code", "status", "retryable", "retry_after", "message", "transparent", "crate"];

/// A type that derives `iii::Error`.
pub(super) struct ErrorType {
    pub(super) name: Ident,
    pub(super) variants: Vec<ErrorVariant>,
    pub(super) krate: Option<Path>,
}

/// A variant of an enum, or a struct as a whole.
pub(super) struct ErrorVariant {
    /// `None` for a struct.
    pub(super) name: Option<Ident>,
    pub(super) fields: Vec<ErrorField>,
    pub(super) kind: VariantKind,
}

pub(super) enum VariantKind {
    /// An error with a code of its own.
    Coded(CodedError),
    /// The error in the only field.
    Transparent,
}

/// The attributes of an error that has a code.
pub(super) struct CodedError {
    pub(super) code: LitStr,
    pub(super) status: Option<u16>,
    pub(super) retryable: Option<bool>,
    /// In milliseconds.
    pub(super) retry_after: Option<u64>,
    pub(super) message: ErrorMessage,
}

pub(super) enum ErrorMessage {
    /// With fields in braces.
    Format(FormatMessage),
    /// A doc comment, or the name in words.
    Plain(String),
}

/// The item that an attribute is on: a struct or a variant.
struct AnnotatedItem<'a> {
    name: &'a Ident,
    /// What the item is, for messages.
    kind: &'a str,
    attributes: &'a [Attribute],
}

impl ErrorType {
    /// Parses a type. `None` if it cannot be an error.
    pub(super) fn parse(input: &DeriveInput, errors: &mut Errors) -> Option<Self> {
        if !input.generics.params.is_empty() {
            let message = "an error type cannot be generic\nhelp: write concrete types";
            errors.on(&input.generics, message);
            return None;
        }
        let mut krate = None;
        let variants = match &input.data {
            Data::Union(data) => {
                let message = "expected an enum or a struct, found a union\nhelp: write an enum";
                errors.on(data.union_token, message);
                return None;
            }
            Data::Struct(data) => {
                let options = error_options(&input.attrs, input.ident.span(), errors);
                let item =
                    AnnotatedItem { name: &input.ident, kind: "struct", attributes: &input.attrs };
                let options = options.map(|mut options| {
                    krate = options.take_crate(errors);
                    options
                });
                vec![ErrorVariant::parse(&item, None, &data.fields, options, errors)]
            }
            Data::Enum(data) => {
                if let Some(mut options) = error_options(&input.attrs, input.ident.span(), errors) {
                    options.check(&["crate"], errors);
                    krate = options.take_crate(errors);
                    options.finish(errors);
                }
                data.variants
                    .iter()
                    .map(|variant| {
                        let name = &variant.ident;
                        let options = error_options(&variant.attrs, name.span(), errors);
                        let attributes = &variant.attrs;
                        let item = AnnotatedItem { name, kind: "variant", attributes };
                        let variant_name = Some(name.clone());
                        ErrorVariant::parse(&item, variant_name, &variant.fields, options, errors)
                    })
                    .collect()
            }
        };
        let variants = variants.into_iter().flatten().collect();
        let error = Self { name: input.ident.clone(), variants, krate };
        error.check_duplicate_codes(errors);
        error.check_duplicate_conversions(errors);
        Some(error)
    }

    fn check_duplicate_codes(&self, errors: &mut Errors) {
        let mut seen: Vec<(String, &ErrorVariant)> = Vec::new();
        for variant in &self.variants {
            let VariantKind::Coded(coded) = &variant.kind else { continue };
            let code = coded.code.value();
            match seen.iter().find(|(earlier, _)| *earlier == code) {
                Some((_, earlier)) => {
                    let owner = earlier.name.as_ref().map(Ident::to_string).unwrap_or_default();
                    let message = format!(
                        "duplicate error code `{code}`: `{owner}` has it\n\
                         help: write another code, so that callers can tell the errors apart"
                    );
                    errors.on(&coded.code, message);
                }
                None => seen.push((code, variant)),
            }
        }
    }

    fn check_duplicate_conversions(&self, errors: &mut Errors) {
        let mut seen: Vec<String> = Vec::new();
        let fields = self.variants.iter().flat_map(|variant| &variant.fields);
        for field in fields.filter(|field| field.from) {
            let ty = field.ty.to_token_stream().to_string();
            if seen.contains(&ty) {
                errors
                    .on(&field.ty, "duplicate `#[from]` of this type\nhelp: remove one of the two");
            }
            seen.push(ty);
        }
    }
}

impl ErrorVariant {
    /// Returns whether the variant contains another error.
    pub(super) fn has_source(&self) -> bool {
        matches!(self.kind, VariantKind::Transparent)
            || self.fields.iter().any(|field| field.role == FieldRole::Source)
    }

    fn parse(
        item: &AnnotatedItem<'_>,
        name: Option<Ident>,
        fields: &Fields,
        options: Option<MacroOptions>,
        errors: &mut Errors,
    ) -> Option<Self> {
        let fields = parse_fields(fields, errors);
        let Some(mut options) = options else {
            let code = kebab_case(&item.name.to_string());
            let message = format!(
                "missing error code of the {} `{}`\nhelp: add `#[error(code = \"service/{code}\")]`",
                item.kind, item.name
            );
            errors.on(item.name, message);
            return None;
        };
        let transparent = options.take_flag("transparent");
        options.check(OPTIONS, errors);
        let kind = match transparent {
            Some(span) => {
                check_transparent(span, &fields, options, errors)?;
                VariantKind::Transparent
            }
            None => VariantKind::Coded(CodedError::parse(item, &fields, options, errors)?),
        };
        Some(Self { name, fields, kind })
    }
}

/// Reports other options of a transparent variant, and any number of fields but one.
fn check_transparent(
    span: Span,
    fields: &[ErrorField],
    mut options: MacroOptions,
    errors: &mut Errors,
) -> Option<()> {
    let conflicting = ["code", "status", "retryable", "retry_after", "message"];
    if options.take_positional().is_some() || conflicting.iter().any(|name| options.has(name)) {
        errors.at(span, "`transparent` conflicts with the other options\nhelp: remove them");
        return None;
    }
    options.finish(errors);
    if fields.len() != 1 {
        let message = format!(
            "expected one field in a transparent variant, found {}\n\
             help: keep only the inner error",
            fields.len()
        );
        errors.at(span, message);
        return None;
    }
    Some(())
}

impl CodedError {
    fn parse(
        item: &AnnotatedItem<'_>,
        fields: &[ErrorField],
        mut options: MacroOptions,
        errors: &mut Errors,
    ) -> Option<Self> {
        let code = take_code(item, &mut options, errors);
        let status = take_status(&mut options, errors);
        let retryable = options.take_bool("retryable", errors);
        let retry_after_span = options.span_of("retry_after");
        let retry_after = options.take_duration("retry_after", errors);
        if let (Some(false), Some(_), Some(span)) = (retryable, retry_after, retry_after_span) {
            let message =
                "`retry_after` conflicts with `retryable = false`\nhelp: remove one of the two";
            errors.at(span, message);
        }
        let message = take_message(item, fields, &mut options, errors);
        options.finish(errors);
        Some(Self { code: code?, status, retryable, retry_after, message: message? })
    }
}

fn take_code(
    item: &AnnotatedItem<'_>,
    options: &mut MacroOptions,
    errors: &mut Errors,
) -> Option<LitStr> {
    if !options.has("code") {
        let code = kebab_case(&item.name.to_string());
        let message = format!(
            "missing option `code` of the {} `{}`\nhelp: add `code = \"service/{code}\"`",
            item.kind, item.name
        );
        errors.on(item.name, message);
        return None;
    }
    let code = options.take_str("code", "orders/not-found", errors)?;
    match check_code(&code.value()) {
        Ok(()) => Some(code),
        Err(message) => {
            errors.on(&code, message);
            None
        }
    }
}

fn take_status(options: &mut MacroOptions, errors: &mut Errors) -> Option<u16> {
    let expr = options.take("status", errors)?;
    let status = match &expr {
        Expr::Lit(ExprLit { lit: Lit::Int(int), .. }) => int.base10_parse::<u16>().ok(),
        _ => None,
    };
    let status = status.filter(|status| (400..=599).contains(status));
    if status.is_none() {
        let message = format!(
            "expected an HTTP status from 400 to 599 for `status`, found {}\n\
             help: write `status = 404`",
            found(&expr)
        );
        errors.on(&expr, message);
    }
    status
}

/// Takes the message: the option, else a value without a name, else the doc comment, else the name in words.
fn take_message(
    item: &AnnotatedItem<'_>,
    fields: &[ErrorField],
    options: &mut MacroOptions,
    errors: &mut Errors,
) -> Option<ErrorMessage> {
    let positional = options.take_positional();
    let written = if options.has("message") {
        if let Some(positional) = positional {
            errors.on(positional, "duplicate message\nhelp: remove one of the two");
        }
        Some(options.take_str("message", "no {sku} left", errors)?)
    } else if let Some(positional) = positional {
        let Some(literal) = literal(&positional) else {
            let message = format!(
                "expected a string as the message, found {}\nhelp: write `\"no {{sku}} left\"`",
                found(&positional)
            );
            errors.on(positional, message);
            return None;
        };
        Some(literal)
    } else {
        None
    };
    let Some(written) = written else {
        let comment = docs::comment(item.attributes).map(|text| text.replace('\n', " "));
        let text = comment.unwrap_or_else(|| docs::to_words(&item.name.unraw().to_string()));
        return Some(ErrorMessage::Plain(text));
    };
    let names: Vec<String> = fields.iter().map(|field| field.name.clone()).collect();
    match FormatMessage::parse(&written, &names) {
        Ok(message) => Some(ErrorMessage::Format(message)),
        Err(message) => {
            errors.on(&written, message);
            None
        }
    }
}

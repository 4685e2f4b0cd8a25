//! The error type as it was declared: its variants, with what each attribute says.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens as _;
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Attribute, Data, DeriveInput, Fields, Ident, Index, LitStr, Member, Meta, Path, Type};

use super::code;
use super::message::Message;
use crate::diagnostics::{Ends, Errors};
use crate::docs;
use crate::options::{Options, literal};

/// The options of a variant.
const OPTIONS: &[&str] =
    &["code", "status", "retryable", "retry_after", "message", "transparent", "crate"];

/// An error type.
pub(super) struct ErrorType {
    pub(super) name: Ident,
    pub(super) variants: Vec<Variant>,
    pub(super) krate: Option<Path>,
}

/// One variant, or a struct as a whole.
pub(super) struct Variant {
    /// `None` for a struct.
    pub(super) name: Option<Ident>,
    pub(super) fields: Vec<Field>,
    pub(super) meaning: Meaning,
}

/// What a variant is to a caller.
pub(super) enum Meaning {
    /// An error of its own.
    Coded(Coded),
    /// The error in its only field.
    Transparent,
}

/// What is said about an error.
pub(super) struct Coded {
    pub(super) code: LitStr,
    pub(super) status: Option<u16>,
    pub(super) retryable: Option<bool>,
    /// In milliseconds.
    pub(super) retry_after: Option<u64>,
    pub(super) text: Text,
}

/// The message of an error.
pub(super) enum Text {
    /// With fields.
    Format(Message),
    /// As it is.
    Plain(String),
}

/// A field of a variant.
pub(super) struct Field {
    pub(super) member: Member,
    pub(super) name: String,
    pub(super) ty: Type,
    pub(super) role: Role,
    /// Whether it makes a `From`.
    pub(super) from: bool,
}

/// What becomes of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It is told to the caller.
    Detail,
    /// It is the cause, for logs.
    Source,
    /// It is not told.
    Skipped,
}

impl ErrorType {
    /// Reads a type. `None` if it can never be an error.
    pub(super) fn parse(input: &DeriveInput, errors: &mut Errors) -> Option<Self> {
        if !input.generics.params.is_empty() {
            errors.on(&input.generics, "an error with codes cannot be generic: write the types");
            return None;
        }
        let mut krate = None;
        let variants = match &input.data {
            Data::Union(data) => {
                errors.on(data.union_token, "a union cannot be an error: write an enum");
                return None;
            }
            Data::Struct(data) => {
                let options = options_of(&input.attrs, input.ident.span(), errors);
                let it = Subject { name: &input.ident, kind: "struct", attributes: &input.attrs };
                let options = options.map(|mut options| {
                    krate = take_crate(&mut options, errors);
                    options
                });
                vec![Variant::parse(&it, None, &data.fields, options, errors)]
            }
            Data::Enum(data) => {
                if let Some(mut options) = options_of(&input.attrs, input.ident.span(), errors) {
                    options.check(&["crate"], errors);
                    krate = take_crate(&mut options, errors);
                    options.finish(errors);
                }
                data.variants
                    .iter()
                    .map(|variant| {
                        let name = &variant.ident;
                        let options = options_of(&variant.attrs, name.span(), errors);
                        let it = Subject { name, kind: "variant", attributes: &variant.attrs };
                        Variant::parse(&it, Some(name.clone()), &variant.fields, options, errors)
                    })
                    .collect()
            }
        };
        let variants = variants.into_iter().flatten().collect();
        let error = Self { name: input.ident.clone(), variants, krate };
        error.codes_differ(errors);
        error.sources_differ(errors);
        Some(error)
    }

    fn codes_differ(&self, errors: &mut Errors) {
        let mut seen: Vec<(String, &Variant)> = Vec::new();
        for variant in &self.variants {
            let Meaning::Coded(coded) = &variant.meaning else { continue };
            let code = coded.code.value();
            match seen.iter().find(|(earlier, _)| *earlier == code) {
                Some((_, earlier)) => {
                    let owner = earlier.name.as_ref().map(Ident::to_string).unwrap_or_default();
                    errors.on(
                        &coded.code,
                        format!("`{owner}` has the code `{code}` already: callers could not tell them apart"),
                    );
                }
                None => seen.push((code, variant)),
            }
        }
    }

    fn sources_differ(&self, errors: &mut Errors) {
        let mut seen: Vec<String> = Vec::new();
        let fields = self.variants.iter().flat_map(|variant| &variant.fields);
        for field in fields.filter(|field| field.from) {
            let ty = field.ty.to_token_stream().to_string();
            if seen.contains(&ty) {
                errors.on(&field.ty, "two variants are made `#[from]` this type: keep one of them");
            }
            seen.push(ty);
        }
    }
}

/// What an attribute is about, for messages.
struct Subject<'a> {
    name: &'a Ident,
    kind: &'a str,
    attributes: &'a [Attribute],
}

impl Variant {
    /// Whether another error is in it.
    pub(super) fn has_cause(&self) -> bool {
        matches!(self.meaning, Meaning::Transparent)
            || self.fields.iter().any(|field| field.role == Role::Source)
    }

    fn parse(
        it: &Subject<'_>,
        name: Option<Ident>,
        fields: &Fields,
        options: Option<Options>,
        errors: &mut Errors,
    ) -> Option<Self> {
        let fields = parse_fields(fields, errors);
        let Some(mut options) = options else {
            errors.on(
                it.name,
                format!(
                    "the {} `{}` has no code: add `#[error(code = \"service/{}\")]`",
                    it.kind,
                    it.name,
                    docs::words(&it.name.to_string()).replace(' ', "-")
                ),
            );
            return None;
        };
        let transparent = options.take_flag("transparent");
        options.check(OPTIONS, errors);
        let meaning = match transparent {
            Some(span) => transparent_meaning(span, &fields, options, errors)?,
            None => Meaning::Coded(Coded::parse(it, &fields, options, errors)?),
        };
        Some(Self { name, fields, meaning })
    }
}

fn transparent_meaning(
    span: Span,
    fields: &[Field],
    mut options: Options,
    errors: &mut Errors,
) -> Option<Meaning> {
    let others = ["code", "status", "retryable", "retry_after", "message"];
    if options.take_positional().is_some() || others.iter().any(|name| options.has(name)) {
        errors.at(span, "a transparent variant is the error inside it: remove the other options");
        return None;
    }
    options.finish(errors);
    if fields.len() != 1 {
        errors
            .at(span, "a transparent variant has exactly one field: the error that it stands for");
        return None;
    }
    Some(Meaning::Transparent)
}

impl Coded {
    fn parse(
        it: &Subject<'_>,
        fields: &[Field],
        mut options: Options,
        errors: &mut Errors,
    ) -> Option<Self> {
        let code = if options.has("code") {
            options.take_str("code", "orders/not-found", errors)
        } else {
            errors.on(
                it.name,
                format!("the {} `{}` has no code: add `code = \"…\"`", it.kind, it.name),
            );
            None
        };
        let code = code.and_then(|code| match code::check(&code.value()) {
            Ok(()) => Some(code),
            Err(message) => {
                errors.on(&code, message);
                None
            }
        });
        let status = options.take("status", errors).and_then(|expr| {
            let status = match &expr {
                syn::Expr::Lit(lit) => match &lit.lit {
                    syn::Lit::Int(int) => int.base10_parse::<u16>().ok(),
                    _ => None,
                },
                _ => None,
            };
            let status = status.filter(|status| (400..=599).contains(status));
            if status.is_none() {
                errors
                    .on(&expr, "`status` is the HTTP status of an error: a number from 400 to 599");
            }
            status
        });
        let retryable = options.take_bool("retryable", errors);
        let waits = options.place_of("retry_after");
        let retry_after = options.take_duration("retry_after", errors);
        if let (Some(false), Some(_), Some(place)) = (retryable, retry_after, waits) {
            errors.at(
                place,
                "what is not retryable is not tried again: remove `retry_after`, or `retryable = false`",
            );
        }
        let text = text(it, fields, &mut options, errors);
        options.finish(errors);
        Some(Self { code: code?, status, retryable, retry_after, text: text? })
    }
}

/// The message: the first of the option, a value without a name, the doc comment, the name in words.
fn text(
    it: &Subject<'_>,
    fields: &[Field],
    options: &mut Options,
    errors: &mut Errors,
) -> Option<Text> {
    let unnamed = options.take_positional();
    let written = if options.has("message") {
        if let Some(unnamed) = unnamed {
            errors.on(unnamed, "the message is given twice: keep one of them");
        }
        Some(options.take_str("message", "no {sku} left", errors)?)
    } else if let Some(unnamed) = unnamed {
        let Some(literal) = literal(&unnamed) else {
            errors.on(unnamed, "a value without a name is the message, a text in quotes");
            return None;
        };
        Some(literal)
    } else {
        None
    };
    let Some(written) = written else {
        let text = docs::text(it.attributes).map(|text| text.replace('\n', " "));
        let text = text.unwrap_or_else(|| docs::words(&it.name.unraw().to_string()));
        return Some(Text::Plain(text));
    };
    let names: Vec<String> = fields.iter().map(|field| field.name.clone()).collect();
    match Message::parse(&written, &names) {
        Ok(message) => Some(Text::Format(message)),
        Err(message) => {
            errors.on(&written, message);
            None
        }
    }
}

/// The options of the `#[error(…)]` of an item. Several are one.
fn options_of(attributes: &[Attribute], span: Span, errors: &mut Errors) -> Option<Options> {
    let mut tokens = TokenStream::new();
    let mut found = false;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("error")) {
        found = true;
        match &attribute.meta {
            Meta::List(list) => {
                if !tokens.is_empty() {
                    tokens.extend(quote::quote!(,));
                }
                tokens.extend(list.tokens.clone());
            }
            other => errors.on(other, "write `#[error(code = \"service/what-went-wrong\")]`"),
        }
    }
    found.then(|| Options::parse(tokens, Ends::at(span), errors))
}

fn take_crate(options: &mut Options, errors: &mut Errors) -> Option<Path> {
    options.take_path("crate", "a path, such as `crate = ::iii`", errors)
}

fn parse_fields(fields: &Fields, errors: &mut Errors) -> Vec<Field> {
    let mut parsed: Vec<Field> = Vec::new();
    for (at, field) in fields.iter().enumerate() {
        let has = |name: &str| field.attrs.iter().find(|attr| attr.path().is_ident(name));
        let (from, source) = (has("from"), has("source"));
        let skipped = is_skipped(&field.attrs, errors);
        let named_source = field.ident.as_ref().is_some_and(|name| name == "source");
        let role = if from.is_some() || source.is_some() || named_source {
            Role::Source
        } else if skipped {
            Role::Skipped
        } else {
            Role::Detail
        };
        let mark = from.or(source);
        if let Some(mark) = mark
            && parsed.iter().any(|earlier| earlier.role == Role::Source)
        {
            errors.on(mark, "an error has one source: remove one of the two");
        }
        if let Some(from) = from
            && fields.len() > 1
        {
            errors.on(
                from,
                "`#[from]` is for a variant with one field: the others could not be filled in; \
                 use `#[source]`",
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
        parsed.push(Field { member, name, ty: field.ty.clone(), role, from: from.is_some() });
    }
    parsed
}

/// Whether a field has `#[error(skip)]`.
fn is_skipped(attributes: &[Attribute], errors: &mut Errors) -> bool {
    let Some(mut options) = options_of(attributes, Span::call_site(), errors) else { return false };
    let skipped = options.take_flag("skip").is_some();
    options.check(&["skip"], errors);
    options.finish(errors);
    skipped
}

//! The configuration as it was declared: what its attribute says, and its fields.

use proc_macro2::{Span, TokenStream};
use syn::{Attribute, Data, DeriveInput, Fields, Ident, LitStr, Meta, Path};

use super::field::Field;
use super::names;
use crate::diagnostics::{Ends, Errors};
use crate::docs;
use crate::options::Options;

/// The options of a configuration.
const OPTIONS: &[&str] = &["id", "section", "prefix", "name", "crate"];

/// A configuration.
pub(super) struct ConfigType {
    pub(super) name: Ident,
    /// Its place in the engine's store.
    pub(super) id: Option<String>,
    /// Its place in the file.
    pub(super) section: Option<String>,
    /// What the names of variables begin with.
    pub(super) prefix: String,
    /// Its name for people.
    pub(super) title: String,
    pub(super) description: Option<String>,
    pub(super) fields: Vec<Field>,
    pub(super) krate: Option<Path>,
}

impl ConfigType {
    /// Reads a type. `None` if it can never be a configuration.
    pub(super) fn parse(input: &DeriveInput, errors: &mut Errors) -> Option<Self> {
        let fields = match &input.data {
            Data::Enum(data) => {
                errors.on(
                    data.enum_token,
                    "a configuration is a struct with named fields, and this is an enum: \
                     an enum is the type of a field, and derives `Deserialize`",
                );
                return None;
            }
            Data::Union(data) => {
                errors.on(
                    data.union_token,
                    "a configuration is a struct with named fields, and this is a union",
                );
                return None;
            }
            Data::Struct(data) => match &data.fields {
                Fields::Named(fields) => fields,
                Fields::Unnamed(fields) => {
                    errors
                        .on(fields, "the fields of a configuration need names: they are its keys");
                    return None;
                }
                Fields::Unit => {
                    errors.on(&input.ident, "a configuration has fields: write `{ … }`");
                    return None;
                }
            },
        };
        if !input.generics.params.is_empty() {
            errors.on(&input.generics, "a configuration cannot be generic: write the types");
            return None;
        }
        let mut options = options_of(&input.attrs, input.ident.span(), errors);
        options.check(OPTIONS, errors);
        let id = checked(&mut options, "id", "orders", names::check_id, errors);
        let section = options.take_str("section", "orders", errors).map(|text| text.value());
        let prefix = checked(&mut options, "prefix", "ORDERS", names::check_prefix, errors);
        let title = options.take_str("name", "Orders", errors).map(|text| text.value());
        let krate = options.take_path("crate", "a path, such as `crate = ::iii`", errors);
        options.finish(errors);
        let name = input.ident.clone();
        let section = section.or_else(|| id.clone());
        let default_prefix = || names::in_capitals(section.as_deref().unwrap_or(&name.to_string()));
        let config = Self {
            prefix: prefix.unwrap_or_else(default_prefix),
            title: title.unwrap_or_else(|| id.clone().unwrap_or_else(|| name.to_string())),
            description: docs::text(&input.attrs),
            fields: fields.named.iter().filter_map(|field| Field::parse(field, errors)).collect(),
            id,
            section,
            krate,
            name,
        };
        config.keys_differ(errors);
        Some(config)
    }

    fn keys_differ(&self, errors: &mut Errors) {
        for (at, field) in self.fields.iter().enumerate() {
            let earlier = &self.fields[..at];
            if earlier.iter().any(|other| other.key == field.key) {
                errors.at(field.name.span(), format!("two fields have the key `{}`", field.key));
            }
        }
    }
}

/// Takes a text, and checks it.
fn checked(
    options: &mut Options,
    name: &str,
    example: &str,
    check: fn(&str) -> Result<(), String>,
    errors: &mut Errors,
) -> Option<String> {
    let text: LitStr = options.take_str(name, example, errors)?;
    match check(&text.value()) {
        Ok(()) => Some(text.value()),
        Err(message) => {
            errors.on(&text, message);
            None
        }
    }
}

/// The options of the `#[config(…)]` of an item. Several are one.
pub(super) fn options_of(attributes: &[Attribute], span: Span, errors: &mut Errors) -> Options {
    let mut tokens = TokenStream::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("config")) {
        match &attribute.meta {
            Meta::List(list) => {
                if !tokens.is_empty() {
                    tokens.extend(quote::quote!(,));
                }
                tokens.extend(list.tokens.clone());
            }
            other => {
                errors.on(other, "write the options in parentheses: `#[config(default = 100)]`");
            }
        }
    }
    Options::parse(tokens, Ends::at(span), errors)
}

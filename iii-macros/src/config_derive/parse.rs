//! The configuration type: its attribute and its fields.

use proc_macro2::{Span, TokenStream};
use syn::{Attribute, Data, DeriveInput, Fields, FieldsNamed, Ident, LitStr, Path};

use super::field::ConfigField;
use super::names;
use crate::derive::helper_options;
use crate::diagnostics::{Errors, SpanRange};
use crate::docs;
use crate::options::MacroOptions;

/// The options of a configuration.
const OPTIONS: &[&str] = &["id", "section", "prefix", "name", "crate"];

/// A struct that derives `iii::Config`.
pub(super) struct ConfigType {
    pub(super) name: Ident,
    /// The id in the engine's store.
    pub(super) id: Option<String>,
    /// The section of the configuration file.
    pub(super) section: Option<String>,
    /// The prefix of the names of environment variables.
    pub(super) prefix: String,
    /// The display name.
    pub(super) title: String,
    pub(super) description: Option<String>,
    pub(super) fields: Vec<ConfigField>,
    pub(super) krate: Option<Path>,
}

impl ConfigType {
    /// Parses a type. `None` if it cannot be a configuration.
    pub(super) fn parse(input: &DeriveInput, errors: &mut Errors) -> Option<Self> {
        let fields = named_fields(input, errors)?;
        if !input.generics.params.is_empty() {
            let message = "a configuration cannot be generic\nhelp: write concrete types";
            errors.on(&input.generics, message);
            return None;
        }
        let mut options = config_options(&input.attrs, input.ident.span(), errors);
        options.check(OPTIONS, errors);
        let id = take_checked(&mut options, "id", "orders", names::check_id, errors);
        let section = options.take_str("section", "orders", errors).map(|text| text.value());
        let prefix = take_checked(&mut options, "prefix", "ORDERS", names::check_prefix, errors);
        let title = options.take_str("name", "Orders", errors).map(|text| text.value());
        let krate = options.take_crate(errors);
        options.finish(errors);
        let name = input.ident.clone();
        let section = section.or_else(|| id.clone());
        let default_prefix =
            || names::screaming_snake_case(section.as_deref().unwrap_or(&name.to_string()));
        let fields = fields.named.iter();
        let config = Self {
            prefix: prefix.unwrap_or_else(default_prefix),
            title: title.unwrap_or_else(|| id.clone().unwrap_or_else(|| name.to_string())),
            description: docs::comment(&input.attrs),
            fields: fields.filter_map(|field| ConfigField::parse(field, errors)).collect(),
            id,
            section,
            krate,
            name,
        };
        config.check_duplicate_keys(errors);
        Some(config)
    }

    fn check_duplicate_keys(&self, errors: &mut Errors) {
        for (at, field) in self.fields.iter().enumerate() {
            if self.fields[..at].iter().any(|earlier| earlier.key == field.key) {
                let message = format!(
                    "duplicate configuration key `{}`\nhelp: rename one of the two fields",
                    field.key
                );
                errors.at(field.name.span(), message);
            }
        }
    }
}

/// Returns the fields of a struct with named fields, or reports another type.
fn named_fields<'a>(input: &'a DeriveInput, errors: &mut Errors) -> Option<&'a FieldsNamed> {
    match &input.data {
        Data::Enum(data) => errors.on(
            data.enum_token,
            "expected a struct with named fields, found an enum\n\
             help: derive `Deserialize` for the enum, and use it as the type of a field",
        ),
        Data::Union(data) => errors.on(
            data.union_token,
            "expected a struct with named fields, found a union\nhelp: write a struct",
        ),
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => return Some(fields),
            Fields::Unnamed(fields) => errors.on(
                fields,
                "expected a struct with named fields, found a tuple struct\n\
                 help: name the fields; the names are the configuration keys",
            ),
            Fields::Unit => errors.on(
                &input.ident,
                "expected a struct with named fields, found a unit struct\nhelp: write `{ … }`",
            ),
        },
    }
    None
}

/// Takes a string, and checks it.
fn take_checked(
    options: &mut MacroOptions,
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

/// Parses the options of the `#[config(…)]` attributes of an item.
pub(super) fn config_options(
    attributes: &[Attribute],
    span: Span,
    errors: &mut Errors,
) -> MacroOptions {
    helper_options(attributes, "config", "default = 100", span, errors)
        .unwrap_or_else(|| MacroOptions::parse(TokenStream::new(), SpanRange::at(span), errors))
}

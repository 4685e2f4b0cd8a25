//! `oneOf` and `anyOf` as enums: the representation is recognised by the forms in which serde writes enums.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::document::{Properties, SchemaDocument, SchemaRoot, array, description};
use super::names::to_type_name;
use super::schema::{NameHint, TypeBuilder};
use super::types::{EnumVariant, ItemKind, Shape, StringVariant, VariantBody};

/// The representation of an enum, with its variants.
#[derive(Debug)]
enum EnumForm {
    /// Raw JSON: a branch allows any value.
    Payload,
    Strings(Vec<StringVariant>),
    ExternallyTagged(Vec<ExternalVariant>),
    InternallyTagged {
        tag: String,
        variants: Vec<InternalVariant>,
    },
    Untagged(Vec<UntaggedVariant>),
}

#[derive(Debug)]
struct ExternalVariant {
    name: String,
    docs: String,
    /// `None` for a string.
    content: Option<Value>,
}

#[derive(Debug)]
struct InternalVariant {
    name: String,
    docs: String,
    /// Includes the tag.
    properties: Properties,
}

#[derive(Debug)]
struct UntaggedVariant {
    name: String,
    specificity: usize,
    schema: Value,
}

/// Recognises the representation of at least two branches.
fn enum_form(root: SchemaRoot<'_>, schema: &Value, branches: &[Value]) -> EnumForm {
    if let Some(variants) = string_variants(branches) {
        return EnumForm::Strings(variants);
    }
    if let Some(form) = internally_tagged(root, schema, branches) {
        return form;
    }
    if let Some(variants) = externally_tagged(branches) {
        return EnumForm::ExternallyTagged(variants);
    }
    if branches.iter().any(|branch| branch.as_object().is_none_or(Map::is_empty)) {
        return EnumForm::Payload;
    }
    let variants = branches.iter().enumerate().map(|(at, branch)| {
        let resolved = root.resolve(branch);
        UntaggedVariant {
            name: untagged_name(branch, resolved, at + 1),
            specificity: specificity(root, resolved),
            schema: branch.clone(),
        }
    });
    EnumForm::Untagged(variants.collect())
}

/// Returns the strings that a schema allows, if it allows only strings of a list.
fn allowed_strings(schema: &Value) -> Option<Vec<&str>> {
    if let Some(constant) = schema.get("const") {
        return constant.as_str().map(|text| vec![text]);
    }
    array(schema, "enum")?.iter().map(Value::as_str).collect()
}

/// Returns the description of a branch for each of its strings. That of several strings describes none of them.
fn string_docs(branch: &Value, strings: &[&str]) -> String {
    if strings.len() == 1 { description(branch) } else { String::new() }
}

fn string_variants(branches: &[Value]) -> Option<Vec<StringVariant>> {
    let mut variants: Vec<StringVariant> = Vec::new();
    for branch in branches {
        let strings = allowed_strings(branch)?;
        let docs = string_docs(branch, &strings);
        for string in strings {
            if !variants.iter().any(|variant| variant.wire == string) {
                variants.push(StringVariant { wire: string.to_owned(), docs: docs.clone() });
            }
        }
    }
    Some(variants)
}

/// Recognises objects that share a property which allows one string, different in each.
fn internally_tagged(root: SchemaRoot<'_>, schema: &Value, branches: &[Value]) -> Option<EnumForm> {
    let objects: Vec<Properties> =
        branches.iter().map(|branch| root.properties(branch)).collect::<Option<_>>()?;
    let discriminator = schema.pointer("/discriminator/propertyName").and_then(Value::as_str);
    let tag_value = |object: &Properties, tag: &str| -> Option<String> {
        let strings = allowed_strings(object.fields.get(tag)?)?;
        let [only] = strings[..] else { return None };
        (object.requires(tag) || discriminator == Some(tag)).then(|| only.to_owned())
    };
    let tag_values = |tag: &str| -> Option<Vec<String>> {
        let values: Vec<String> =
            objects.iter().map(|object| tag_value(object, tag)).collect::<Option<_>>()?;
        let distinct: BTreeSet<&String> = values.iter().collect();
        (distinct.len() == values.len()).then_some(values)
    };
    let properties = objects.first()?.fields.keys().map(String::as_str);
    let (tag, values) = discriminator.into_iter().chain(properties).find_map(|tag| {
        let values = tag_values(tag)?;
        Some((tag.to_owned(), values))
    })?;
    let variants = branches.iter().zip(values).zip(objects);
    let variants = variants.map(|((branch, name), properties)| InternalVariant {
        name,
        docs: description(root.resolve(branch)),
        properties,
    });
    Some(EnumForm::InternallyTagged { tag, variants: variants.collect() })
}

/// Recognises strings, and objects with exactly one property.
fn externally_tagged(branches: &[Value]) -> Option<Vec<ExternalVariant>> {
    let mut variants: Vec<ExternalVariant> = Vec::new();
    for branch in branches {
        if let Some(strings) = allowed_strings(branch) {
            let docs = string_docs(branch, &strings);
            variants.extend(strings.into_iter().map(|string| ExternalVariant {
                name: string.to_owned(),
                docs: docs.clone(),
                content: None,
            }));
            continue;
        }
        let properties = branch.get("properties")?.as_object()?;
        let [(name, content)] = properties.iter().collect::<Vec<_>>()[..] else { return None };
        let required = array(branch, "required")?;
        let is_closed = branch.get("additionalProperties") == Some(&Value::Bool(false));
        if required != [name.as_str()] || !is_closed {
            return None;
        }
        let (name, docs) = (name.clone(), description(branch));
        variants.push(ExternalVariant { name, docs, content: Some(content.clone()) });
    }
    let distinct: BTreeSet<&String> = variants.iter().map(|variant| &variant.name).collect();
    (distinct.len() == variants.len()).then_some(variants)
}

/// Returns a name for a variant that has none on the wire.
fn untagged_name(branch: &Value, resolved: &Value, number: usize) -> String {
    let title = branch.get("title").or_else(|| resolved.get("title")).and_then(Value::as_str);
    let reference = || branch.get("$ref").and_then(Value::as_str)?.rsplit('/').next();
    let json_type = || match resolved.get("type")?.as_str()? {
        "string" if allowed_strings(resolved).is_none() => Some("Text"),
        "integer" => Some("Integer"),
        "number" => Some("Number"),
        "boolean" => Some("Bool"),
        "array" => Some("List"),
        "object" => Some("Object"),
        _ => None,
    };
    let string = || allowed_strings(resolved).and_then(|strings| strings.first().copied());
    let name = title.or_else(reference).or_else(json_type).or_else(string);
    let name = name.map(to_type_name).unwrap_or_default();
    if name.is_empty() { format!("Variant{number}") } else { name }
}

/// Returns how much a schema requires. A value of the more specific schema may match the other one as well.
fn specificity(root: SchemaRoot<'_>, schema: &Value) -> usize {
    if let Some(object) = root.properties(schema) {
        return 1 + object.required.len();
    }
    let is_integer = schema.get("type").and_then(Value::as_str) == Some("integer");
    usize::from(is_integer || allowed_strings(schema).is_some())
}

impl TypeBuilder {
    /// Returns the type of several branches: an optional type, or an enum.
    pub(super) fn union(
        &mut self,
        document: &mut SchemaDocument<'_>,
        schema: &Value,
        branches: &[Value],
        hint: &NameHint,
    ) -> Shape {
        let is_null = |branch: &&Value| {
            branch.get("type").and_then(Value::as_str) == Some("null")
                || branch.get("const") == Some(&Value::Null)
                || array(branch, "enum").is_some_and(|values| values == [Value::Null])
        };
        let non_null: Vec<Value> =
            branches.iter().filter(|branch| !is_null(branch)).cloned().collect();
        if non_null.len() < branches.len() {
            if non_null.is_empty() {
                return Shape::Unit;
            }
            let hint = hint.non_null(self);
            return self.union(document, schema, &non_null, &hint).optional();
        }
        match &non_null[..] {
            [] => Shape::Payload,
            [only] => self.shape(document, only, hint),
            _ => self.enum_shape(document, schema, &non_null, hint),
        }
    }

    /// Returns an enum of at least two branches.
    fn enum_shape(
        &mut self,
        document: &mut SchemaDocument<'_>,
        schema: &Value,
        branches: &[Value],
        hint: &NameHint,
    ) -> Shape {
        let form = enum_form(document.root, schema, branches);
        if matches!(form, EnumForm::Payload) {
            return Shape::Payload;
        }
        let index = self.item(document, hint, description(schema));
        let hint = NameHint { item: Some(index), ..hint.clone() };
        let kind = match form {
            EnumForm::Payload => return Shape::Payload,
            EnumForm::Strings(variants) => ItemKind::StringEnum(variants),
            EnumForm::ExternallyTagged(variants) => {
                let variants =
                    variants.into_iter().map(|ExternalVariant { name, docs, content }| {
                        let body = match content {
                            None => VariantBody::Unit,
                            Some(content) => self.external_body(document, &content, &hint, &name),
                        };
                        EnumVariant { name, docs, body }
                    });
                ItemKind::ExternallyTagged(variants.collect())
            }
            EnumForm::InternallyTagged { tag, variants } => {
                let variants =
                    variants.into_iter().map(|InternalVariant { name, docs, properties }| {
                        let hint = hint.part(self, &name);
                        let item = self.fields(document, &properties, &hint, Some(&tag));
                        let body = match item.fields.is_empty() {
                            true => VariantBody::Unit,
                            false => VariantBody::Struct(item),
                        };
                        EnumVariant { name, docs, body }
                    });
                let variants = variants.collect();
                ItemKind::InternallyTagged { tag, variants }
            }
            EnumForm::Untagged(untagged) => {
                let mut variants = Vec::new();
                for UntaggedVariant { name, specificity, schema } in untagged {
                    let hint = hint.part(self, &name).or_title(&schema);
                    let shape = self.shape(document, &schema, &hint);
                    if shape == Shape::Payload {
                        // A variant that matches any value hides the others.
                        self.items[index].kind = ItemKind::Alias(Shape::Payload);
                        return Shape::Payload;
                    }
                    let (docs, body) = (description(&schema), VariantBody::Newtype(shape));
                    variants.push((specificity, EnumVariant { name, docs, body }));
                }
                // serde takes the first variant that matches, so the more specific ones come first.
                variants.sort_by_key(|(specificity, _)| std::cmp::Reverse(*specificity));
                ItemKind::Untagged(variants.into_iter().map(|(_, variant)| variant).collect())
            }
        };
        self.items[index].kind = kind;
        Shape::Item(index)
    }

    /// Returns the content of an externally tagged variant.
    fn external_body(
        &mut self,
        document: &mut SchemaDocument<'_>,
        schema: &Value,
        hint: &NameHint,
        name: &str,
    ) -> VariantBody {
        let is_inline = schema.get("$ref").is_none() && schema.get("allOf").is_none();
        let hint = hint.part(self, name);
        if is_inline
            && schema.get("properties").is_some()
            && let Some(properties) = document.root.properties(schema)
            && properties.additional.as_ref().is_none_or(Value::is_boolean)
        {
            return VariantBody::Struct(self.fields(document, &properties, &hint, None));
        }
        VariantBody::Newtype(self.shape(document, schema, &hint.or_title(schema)))
    }
}

/// Returns a schema with only one of its types.
pub(super) fn with_type(object: &Map<String, Value>, name: &str) -> Value {
    let mut object = object.clone();
    object.insert("type".to_owned(), Value::String(name.to_owned()));
    for key in ["title", "description"] {
        object.remove(key);
    }
    Value::Object(object)
}

//! `oneOf` and `anyOf`: which kind of enum they are, told by the forms in which serde writes enums.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::document::{Document, Properties, Root, docs, list};
use super::names::type_name;
use super::schema::{Place, Types};
use super::types::{Body, Kind, Shape, TextVariant, Variant};

/// What a list of schemas is.
#[derive(Debug)]
enum Form {
    /// Anything.
    Any,
    Texts(Vec<TextVariant>),
    /// Name, docs, content.
    External(Vec<(String, String, Option<Value>)>),
    /// Name, docs, fields with the one of the tag.
    Internal {
        tag: String,
        variants: Vec<(String, String, Properties)>,
    },
    /// Name, how much it asks for, schema.
    Untagged(Vec<(String, usize, Value)>),
}

/// Finds out the form. There are at least two branches.
fn form(root: Root<'_>, schema: &Value, branches: &[Value]) -> Form {
    if let Some(variants) = texts(branches) {
        return Form::Texts(variants);
    }
    if let Some(form) = internal(root, schema, branches) {
        return form;
    }
    if let Some(variants) = external(branches) {
        return Form::External(variants);
    }
    if branches.iter().any(|branch| branch.as_object().is_none_or(Map::is_empty)) {
        return Form::Any;
    }
    let variants = branches.iter().enumerate().map(|(at, branch)| {
        let behind = root.resolved(branch);
        (untagged_name(branch, behind, at + 1), weight(root, behind), branch.clone())
    });
    Form::Untagged(variants.collect())
}

/// The texts that a schema allows, if it allows only texts.
fn texts_of(schema: &Value) -> Option<Vec<&str>> {
    if let Some(constant) = schema.get("const") {
        return constant.as_str().map(|text| vec![text]);
    }
    list(schema, "enum")?.iter().map(Value::as_str).collect()
}

fn texts(branches: &[Value]) -> Option<Vec<TextVariant>> {
    let mut variants: Vec<TextVariant> = Vec::new();
    for branch in branches {
        let texts = texts_of(branch)?;
        // What is said of several is said of none of them.
        let docs = if texts.len() == 1 { docs(branch) } else { String::new() };
        for text in texts {
            if !variants.iter().any(|variant| variant.wire == text) {
                variants.push(TextVariant { wire: text.to_owned(), docs: docs.clone() });
            }
        }
    }
    Some(variants)
}

/// Objects that all have a property with one text, which differs.
fn internal(root: Root<'_>, schema: &Value, branches: &[Value]) -> Option<Form> {
    let objects: Vec<Properties> =
        branches.iter().map(|branch| root.properties(branch)).collect::<Option<_>>()?;
    let named = schema.pointer("/discriminator/propertyName").and_then(Value::as_str);
    let tag_of = |object: &Properties, tag: &str| -> Option<String> {
        let texts = texts_of(object.fields.get(tag)?)?;
        let [only] = texts[..] else { return None };
        (object.requires(tag) || named == Some(tag)).then(|| only.to_owned())
    };
    let values = |tag: &str| -> Option<Vec<String>> {
        let values: Vec<String> =
            objects.iter().map(|object| tag_of(object, tag)).collect::<Option<_>>()?;
        let different: BTreeSet<&String> = values.iter().collect();
        (different.len() == values.len()).then_some(values)
    };
    let first = objects.first()?.fields.keys().map(String::as_str);
    let (tag, values) = named.into_iter().chain(first).find_map(|tag| {
        let values = values(tag)?;
        Some((tag.to_owned(), values))
    })?;
    let variants = branches.iter().zip(values).zip(objects);
    let variants =
        variants.map(|((branch, value), object)| (value, docs(root.resolved(branch)), object));
    Some(Form::Internal { tag, variants: variants.collect() })
}

/// Texts, and objects with one property and nothing else.
fn external(branches: &[Value]) -> Option<Vec<(String, String, Option<Value>)>> {
    let mut variants: Vec<(String, String, Option<Value>)> = Vec::new();
    for branch in branches {
        if let Some(texts) = texts_of(branch) {
            let docs = if texts.len() == 1 { docs(branch) } else { String::new() };
            variants.extend(texts.into_iter().map(|text| (text.to_owned(), docs.clone(), None)));
            continue;
        }
        let properties = branch.get("properties")?.as_object()?;
        let [(name, content)] = properties.iter().collect::<Vec<_>>()[..] else { return None };
        let required = list(branch, "required")?;
        let closed = branch.get("additionalProperties") == Some(&Value::Bool(false));
        if required != [name.as_str()] || !closed {
            return None;
        }
        variants.push((name.clone(), docs(branch), Some(content.clone())));
    }
    let different: BTreeSet<&String> = variants.iter().map(|(name, ..)| name).collect();
    (different.len() == variants.len()).then_some(variants)
}

/// A name for a variant that has none on the wire.
fn untagged_name(branch: &Value, behind: &Value, number: usize) -> String {
    let title = branch.get("title").or_else(|| behind.get("title")).and_then(Value::as_str);
    let last = || branch.get("$ref").and_then(Value::as_str)?.rsplit('/').next();
    let of = || match behind.get("type")?.as_str()? {
        "string" if texts_of(behind).is_none() => Some("Text"),
        "integer" => Some("Integer"),
        "number" => Some("Number"),
        "boolean" => Some("Bool"),
        "array" => Some("List"),
        "object" => Some("Object"),
        _ => None,
    };
    let text = || texts_of(behind).and_then(|texts| texts.first().copied());
    let name = title.or_else(last).or_else(of).or_else(text).map(type_name).unwrap_or_default();
    if name.is_empty() { format!("Variant{number}") } else { name }
}

/// How much a schema asks for: what fits the one that asks for more may fit the other as well.
fn weight(root: Root<'_>, schema: &Value) -> usize {
    if let Some(object) = root.properties(schema) {
        return 1 + object.required.len();
    }
    let integer = schema.get("type").and_then(Value::as_str) == Some("integer");
    usize::from(integer || texts_of(schema).is_some())
}

impl Types {
    /// One of several schemas: something or `null`, or an enum.
    pub(super) fn union(
        &mut self,
        document: &mut Document<'_>,
        schema: &Value,
        branches: &[Value],
        place: &Place,
    ) -> Shape {
        let is_null = |branch: &&Value| {
            branch.get("type").and_then(Value::as_str) == Some("null")
                || branch.get("const") == Some(&Value::Null)
                || list(branch, "enum").is_some_and(|values| values == [Value::Null])
        };
        let some: Vec<Value> = branches.iter().filter(|branch| !is_null(branch)).cloned().collect();
        if some.len() < branches.len() {
            if some.is_empty() {
                return Shape::Unit;
            }
            let place = place.inner(self);
            return self.union(document, schema, &some, &place).optional();
        }
        match &some[..] {
            [] => Shape::Payload,
            [only] => self.shape(document, only, place),
            _ => self.variants(document, schema, &some, place),
        }
    }

    /// An enum of at least two branches.
    fn variants(
        &mut self,
        document: &mut Document<'_>,
        schema: &Value,
        branches: &[Value],
        place: &Place,
    ) -> Shape {
        let found = form(document.root, schema, branches);
        if matches!(found, Form::Any) {
            return Shape::Payload;
        }
        let index = self.item(document, place, docs(schema));
        let place = Place { item: Some(index), ..place.clone() };
        let kind = match found {
            Form::Any => return Shape::Payload,
            Form::Texts(variants) => Kind::Texts(variants),
            Form::External(found) => {
                let variants = found.into_iter().map(|(name, docs, content)| {
                    let body = match content {
                        None => Body::Unit,
                        Some(content) => self.content(document, &content, &place, &name),
                    };
                    Variant { name, docs, body }
                });
                Kind::External(variants.collect())
            }
            Form::Internal { tag, variants } => {
                let variants = variants.into_iter().map(|(name, docs, found)| {
                    let part = Place::named(place.part(self, &name).wanted.remove(0));
                    let item = self.fields(document, &found, &part, Some(&tag));
                    let body = if item.fields.is_empty() { Body::Unit } else { Body::Fields(item) };
                    Variant { name, docs, body }
                });
                let variants = variants.collect();
                Kind::Internal { tag, variants }
            }
            Form::Untagged(found) => {
                let mut variants = Vec::new();
                for (name, weight, branch) in found {
                    let part = place.part(self, &name).or_title(&branch);
                    let shape = self.shape(document, &branch, &part);
                    if shape == Shape::Payload {
                        // One that takes all hides the others.
                        self.items[index].kind = Kind::Alias(Shape::Payload);
                        return Shape::Payload;
                    }
                    let variant = Variant { name, docs: docs(&branch), body: Body::One(shape) };
                    variants.push((weight, variant));
                }
                // The first that fits is taken: those that ask for more come first.
                variants.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
                Kind::Untagged(variants.into_iter().map(|(_, variant)| variant).collect())
            }
        };
        self.items[index].kind = kind;
        Shape::Item(index)
    }

    /// The content of a variant that is told by its name.
    fn content(
        &mut self,
        document: &mut Document<'_>,
        schema: &Value,
        place: &Place,
        name: &str,
    ) -> Body {
        let inline = schema.get("$ref").is_none() && schema.get("allOf").is_none();
        if inline
            && schema.get("properties").is_some()
            && let Some(found) = document.root.properties(schema)
            && found.rest.as_ref().is_none_or(Value::is_boolean)
        {
            let part = Place::named(place.part(self, name).wanted.remove(0));
            return Body::Fields(self.fields(document, &found, &part, None));
        }
        let part = place.part(self, name).or_title(schema);
        Body::One(self.shape(document, schema, &part))
    }
}

/// The same schema for one of its types.
pub(super) fn with_type(object: &Map<String, Value>, of: &str) -> Value {
    let mut object = object.clone();
    object.insert("type".to_owned(), Value::String(of.to_owned()));
    for key in ["title", "description"] {
        object.remove(key);
    }
    Value::Object(object)
}

//! Schema documents: what their references stand for, and what a schema consists of.

use std::collections::BTreeMap;

use serde_json::Value;

use super::types::Shape;

/// How far references are followed to find out what a schema is.
const DEPTH: usize = 32;

/// One schema document, which all references in it are about.
#[derive(Debug)]
pub(super) struct Document<'a> {
    pub(super) root: Root<'a>,
    /// The function, for names that are taken: `Create`.
    pub(super) function: String,
    /// The name that is reserved for the whole: `CreateInput`.
    pub(super) name: String,
    /// What the references in it have become.
    pub(super) seen: BTreeMap<String, Shape>,
}

impl<'a> Document<'a> {
    pub(super) fn new(root: &'a Value, function: &str, name: &str) -> Self {
        let (function, name) = (function.to_owned(), name.to_owned());
        Self { root: Root(root), function, name, seen: BTreeMap::new() }
    }
}

/// The whole schema of a document.
#[derive(Debug, Clone, Copy)]
pub(super) struct Root<'a>(pub(super) &'a Value);

impl<'a> Root<'a> {
    /// What a reference stands for.
    pub(super) fn target(self, reference: &str) -> Option<&'a Value> {
        self.0.pointer(&decoded(reference.strip_prefix('#')?))
    }

    /// The schema behind references.
    pub(super) fn resolved(self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        for _ in 0..DEPTH {
            match schema.get("$ref").and_then(Value::as_str).and_then(|to| self.target(to)) {
                Some(target) => schema = target,
                None => break,
            }
        }
        schema
    }

    /// All properties of an object, also of those that it refers to and consists of. `None`: it is no object, or more.
    pub(super) fn properties(self, schema: &Value) -> Option<Properties> {
        let mut found = Properties::default();
        self.gather(schema, &mut found, DEPTH).then_some(found)
    }

    fn gather(self, schema: &Value, found: &mut Properties, depth: usize) -> bool {
        let Some(object) = schema.as_object() else { return false };
        let more = ["oneOf", "anyOf", "enum", "const"];
        if depth == 0 || more.iter().any(|key| object.contains_key(*key)) {
            return false;
        }
        let mut is_object = false;
        let reference = object.get("$ref").and_then(Value::as_str);
        let target = match reference.map(|reference| self.target(reference)) {
            Some(None) => return false,
            Some(target) => target,
            None => None,
        };
        for part in target.into_iter().chain(list(schema, "allOf").unwrap_or_default()) {
            if !self.gather(part, found, depth - 1) {
                return false;
            }
            is_object = true;
        }
        match object.get("type") {
            Some(Value::String(of)) if of == "object" => is_object = true,
            Some(_) => return false,
            None => {}
        }
        if let Some(properties) = object.get("properties").and_then(Value::as_object) {
            is_object = true;
            let all = properties.iter().map(|(name, schema)| (name.clone(), schema.clone()));
            found.fields.extend(all);
        }
        let required = list(schema, "required").unwrap_or_default();
        found.required.extend(required.iter().filter_map(Value::as_str).map(str::to_owned));
        if let Some(rest) = object.get("additionalProperties") {
            found.rest = Some(rest.clone());
        }
        is_object
    }

    /// All that a schema consists of, as text: the same for the same types, whatever document they are in.
    pub(super) fn content(self, schema: &Value) -> String {
        let mut schema = schema.clone();
        if let Some(object) = schema.as_object_mut() {
            for key in ["$schema", "title", "$defs", "definitions"] {
                object.remove(key);
            }
        }
        let mut parts = BTreeMap::new();
        let mut open = references(&schema);
        while let Some(reference) = open.pop() {
            if parts.contains_key(&reference) {
                continue;
            }
            let target = self.target(&reference).unwrap_or(&Value::Null);
            open.extend(references(target));
            parts.insert(reference, target.to_string());
        }
        format!("{schema} {parts:?}")
    }
}

/// The properties of an object, in the order of their names.
#[derive(Debug, Default)]
pub(super) struct Properties {
    pub(super) fields: BTreeMap<String, Value>,
    pub(super) required: Vec<String>,
    /// The schema of what else may be there.
    pub(super) rest: Option<Value>,
}

impl Properties {
    /// Whether a property must be there.
    pub(super) fn requires(&self, name: &str) -> bool {
        self.required.iter().any(|required| required == name)
    }
}

/// What a schema says about its type.
pub(super) fn docs(schema: &Value) -> String {
    let text = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    text.trim().to_owned()
}

/// What a schema says about a field: with what holds if it is left out.
pub(super) fn field_docs(schema: &Value) -> String {
    let text = docs(schema);
    match schema.get("default") {
        None | Some(Value::Null) => text,
        Some(default) => {
            let default = format!("Default: `{default}`.");
            if text.is_empty() { default } else { format!("{text}\n\n{default}") }
        }
    }
}

fn references(schema: &Value) -> Vec<String> {
    match schema {
        Value::Object(object) => object
            .iter()
            .flat_map(|(key, value)| match (key.as_str(), value) {
                ("$ref", Value::String(reference)) => vec![reference.clone()],
                _ => references(value),
            })
            .collect(),
        Value::Array(list) => list.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

pub(super) fn list<'a>(schema: &'a Value, key: &str) -> Option<&'a [Value]> {
    schema.get(key).and_then(Value::as_array).map(Vec::as_slice)
}

/// A part of a reference as it was before it was put there: `%20` is a space.
pub(super) fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'%')
            .then(|| after.get(..2).and_then(|two| std::str::from_utf8(two).ok()))
            .flatten()
            .and_then(|two| u8::from_str_radix(two, 16).ok());
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// A name as a part of a reference.
pub(super) fn encoded(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

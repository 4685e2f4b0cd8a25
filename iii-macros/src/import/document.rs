//! Schema documents: resolution of references, and the properties of objects.

use std::collections::BTreeMap;

use serde_json::Value;

use super::types::Shape;

/// The maximum depth to which references are followed.
const MAX_DEPTH: usize = 32;

/// One schema document, and what is known of it.
#[derive(Debug)]
pub(super) struct SchemaDocument<'a> {
    pub(super) root: SchemaRoot<'a>,
    /// The prefix of names that are taken: the function, such as `Create`.
    pub(super) function: String,
    /// The name that is reserved for the root schema: `CreateInput`.
    pub(super) name: String,
    /// The shapes of the references that are resolved.
    pub(super) references: BTreeMap<String, Shape>,
}

impl<'a> SchemaDocument<'a> {
    pub(super) fn new(root: &'a Value, function: &str, name: &str) -> Self {
        let (function, name) = (function.to_owned(), name.to_owned());
        Self { root: SchemaRoot(root), function, name, references: BTreeMap::new() }
    }
}

/// The root schema of a document.
#[derive(Debug, Clone, Copy)]
pub(super) struct SchemaRoot<'a>(pub(super) &'a Value);

impl<'a> SchemaRoot<'a> {
    /// Returns the schema that a reference names.
    pub(super) fn target(self, reference: &str) -> Option<&'a Value> {
        self.0.pointer(&percent_decoded(reference.strip_prefix('#')?))
    }

    /// Follows references, and returns the schema that they lead to.
    pub(super) fn resolve(self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        for _ in 0..MAX_DEPTH {
            match schema.get("$ref").and_then(Value::as_str).and_then(|to| self.target(to)) {
                Some(target) => schema = target,
                None => break,
            }
        }
        schema
    }

    /// Returns all properties of an object, with those of `$ref` and `allOf`. `None` if the schema allows other values.
    pub(super) fn properties(self, schema: &Value) -> Option<Properties> {
        let mut found = Properties::default();
        self.collect_properties(schema, &mut found, MAX_DEPTH).then_some(found)
    }

    /// Adds the properties of a schema. Returns whether the schema is an object.
    fn collect_properties(self, schema: &Value, found: &mut Properties, depth: usize) -> bool {
        let Some(object) = schema.as_object() else { return false };
        let other_forms = ["oneOf", "anyOf", "enum", "const"];
        if depth == 0 || other_forms.iter().any(|key| object.contains_key(*key)) {
            return false;
        }
        let mut is_object = false;
        let reference = object.get("$ref").and_then(Value::as_str);
        let target = match reference.map(|reference| self.target(reference)) {
            Some(None) => return false,
            Some(target) => target,
            None => None,
        };
        for part in target.into_iter().chain(array(schema, "allOf").unwrap_or_default()) {
            if !self.collect_properties(part, found, depth - 1) {
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
        let required = array(schema, "required").unwrap_or_default();
        found.required.extend(required.iter().filter_map(Value::as_str).map(str::to_owned));
        if let Some(additional) = object.get("additionalProperties") {
            found.additional = Some(additional.clone());
        }
        is_object
    }

    /// Returns a schema with all that it refers to, as text: equal for equal types of any document.
    pub(super) fn canonical_text(self, schema: &Value) -> String {
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
    /// The schema of `additionalProperties`.
    pub(super) additional: Option<Value>,
}

impl Properties {
    /// Returns whether a property is required.
    pub(super) fn requires(&self, name: &str) -> bool {
        self.required.iter().any(|required| required == name)
    }
}

/// Returns the description of a schema.
pub(super) fn description(schema: &Value) -> String {
    let text = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    text.trim().to_owned()
}

/// Returns the description of a field, with its default.
pub(super) fn field_description(schema: &Value) -> String {
    let text = description(schema);
    match schema.get("default") {
        None | Some(Value::Null) => text,
        Some(default) => {
            let default = format!("Default: `{default}`.");
            if text.is_empty() { default } else { format!("{text}\n\n{default}") }
        }
    }
}

/// Returns all references in a schema.
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

/// Returns the array of a keyword.
pub(super) fn array<'a>(schema: &'a Value, key: &str) -> Option<&'a [Value]> {
    schema.get(key).and_then(Value::as_array).map(Vec::as_slice)
}

/// Decodes the percent encoding of a part of a reference.
pub(super) fn percent_decoded(text: &str) -> String {
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

/// Escapes a name as a token of a JSON Pointer.
pub(super) fn pointer_escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

//! JSON Schema, as schemars, zod and pydantic write it, converted to types. Unsupported schemas become raw JSON.

use std::collections::HashMap;

use serde_json::Value;

use super::document::{SchemaDocument, array, description, percent_decoded, pointer_escaped};
use super::names::{NameScope, title_type_name, to_type_name};
use super::types::{ItemKind, Shape, TypeItem};
use super::union::with_type;

/// Builds the types of one module.
#[derive(Debug)]
pub(super) struct TypeBuilder {
    pub(super) items: Vec<TypeItem>,
    names: NameScope,
    /// Items by their name and canonical text, so that functions share definitions.
    shared: HashMap<(String, String), usize>,
    /// Definitions by their canonical text alone, for root schemas without a title.
    by_text: HashMap<String, usize>,
}

/// Where a type occurs, which decides its name.
#[derive(Debug, Clone)]
pub(super) struct NameHint {
    /// Candidates for the name, the best one first.
    pub(super) candidates: Vec<String>,
    /// The item that the type defines, if its name is taken already.
    pub(super) item: Option<usize>,
}

impl NameHint {
    pub(super) fn named(name: impl Into<String>) -> Self {
        Self { candidates: vec![name.into()], item: None }
    }

    /// Prefers the title of a schema.
    pub(super) fn or_title(mut self, schema: &Value) -> Self {
        if self.item.is_none()
            && let Some(title) = title(schema)
        {
            self.candidates.insert(0, title);
        }
        self
    }

    /// Returns the hint for a part of the type: a new item.
    pub(super) fn part(&self, types: &TypeBuilder, name: &str) -> Self {
        let whole = match self.item {
            Some(index) => &types.items[index].name,
            None => self.candidates.last().expect("a hint has a candidate"),
        };
        Self::named(format!("{whole}{}", to_type_name(name)))
    }

    /// Returns the hint for the type without `null`.
    pub(super) fn non_null(&self, types: &TypeBuilder) -> Self {
        if self.item.is_some() { self.part(types, "value") } else { self.clone() }
    }
}

/// Returns the title of a schema, if it is the name of a type.
fn title(schema: &Value) -> Option<String> {
    schema.get("title").and_then(Value::as_str).and_then(title_type_name)
}

impl TypeBuilder {
    /// Creates a builder. `names` are those that are taken in the module.
    pub(super) fn new(names: NameScope) -> Self {
        Self { items: Vec::new(), names, shared: HashMap::new(), by_text: HashMap::new() }
    }

    /// Adds the definitions of a document.
    pub(super) fn add_definitions(&mut self, document: &mut SchemaDocument<'_>) {
        for table in ["$defs", "definitions"] {
            let Some(Value::Object(definitions)) = document.root.0.get(table) else { continue };
            for name in definitions.keys() {
                self.reference(document, &format!("#/{table}/{}", pointer_escaped(name)));
            }
        }
    }

    /// Returns the type of a root schema. Its name is the title, else the one that is reserved for it.
    pub(super) fn root(&mut self, document: &mut SchemaDocument<'_>) -> Shape {
        if let Some(shape) = document.references.get("#") {
            return shape.clone();
        }
        let root = document.root.0;
        let title = title(root);
        let text = document.root.canonical_text(root);
        if let Some(title) = &title {
            if let Some(index) = self.shared.get(&(title.clone(), text.clone())) {
                return Shape::Item(*index);
            }
        } else if let Some(index) = self.by_text.get(&text) {
            return Shape::Item(*index);
        }
        let reserved = document.name.clone();
        let name = match title {
            Some(title) if title != reserved && self.names.take(&title) => title,
            _ => reserved.clone(),
        };
        let index = self.add_item(name.clone(), description(root));
        document.references.insert("#".to_owned(), Shape::Item(index));
        self.shared.insert((name, text), index);
        let hint = NameHint { candidates: vec![reserved], item: Some(index) };
        let shape = self.shape(document, root, &hint);
        self.define(index, shape)
    }

    /// Adds an item that is not defined yet.
    fn add_item(&mut self, name: String, docs: String) -> usize {
        self.items.push(TypeItem { name, docs, kind: ItemKind::Alias(Shape::Payload) });
        self.items.len() - 1
    }

    /// Defines an item as an alias, unless the shape is the item itself.
    fn define(&mut self, index: usize, shape: Shape) -> Shape {
        if shape != Shape::Item(index) {
            self.items[index].kind = ItemKind::Alias(shape);
        }
        Shape::Item(index)
    }

    /// Returns the item that the hint names, or a new one.
    pub(super) fn item(
        &mut self,
        document: &SchemaDocument<'_>,
        hint: &NameHint,
        docs: String,
    ) -> usize {
        if let Some(index) = hint.item {
            return index;
        }
        let mut candidates: Vec<&str> = hint.candidates.iter().map(String::as_str).collect();
        let with_prefix = format!("{}{}", document.function, candidates[candidates.len() - 1]);
        candidates.push(&with_prefix);
        let name = self.names.take_first(&candidates);
        self.add_item(name, docs)
    }

    /// Returns the type of a reference.
    fn reference(&mut self, document: &mut SchemaDocument<'_>, reference: &str) -> Shape {
        if let Some(shape) = document.references.get(reference) {
            return shape.clone();
        }
        let Some(target) = document.root.target(reference) else { return Shape::Payload };
        if reference == "#" {
            return self.root(document);
        }
        let last = percent_decoded(reference.rsplit(['/', '#']).next().unwrap_or_default())
            .replace("~1", "/")
            .replace("~0", "~");
        let name = title_type_name(&last).unwrap_or_else(|| to_type_name(&last));
        let name = if name.is_empty() { "Value".to_owned() } else { name };
        let key = (name, document.root.canonical_text(target));
        if let Some(index) = self.shared.get(&key) {
            document.references.insert(reference.to_owned(), Shape::Item(*index));
            return Shape::Item(*index);
        }
        let hint = NameHint::named(key.0.clone());
        let index = self.item(document, &hint, description(target));
        document.references.insert(reference.to_owned(), Shape::Item(index));
        // A definition whose name was taken is equal by coincidence.
        let has_own_name = self.items[index].name == key.0;
        if has_own_name && (target.get("properties").is_some() || target.get("oneOf").is_some()) {
            self.by_text.entry(key.1.clone()).or_insert(index);
        }
        self.shared.insert(key, index);
        let hint = NameHint { item: Some(index), ..hint };
        let mut shape = self.shape(document, target, &hint);
        if shape == Shape::Item(index) && matches!(self.items[index].kind, ItemKind::Alias(_)) {
            // A reference to itself allows any value.
            shape = Shape::Payload;
        }
        self.define(index, shape)
    }

    /// Returns the type of a schema.
    pub(super) fn shape(
        &mut self,
        document: &mut SchemaDocument<'_>,
        schema: &Value,
        hint: &NameHint,
    ) -> Shape {
        let Value::Object(object) = schema else { return Shape::Payload };
        if object.get("nullable") == Some(&Value::Bool(true)) {
            let mut non_null = object.clone();
            non_null.remove("nullable");
            let hint = hint.non_null(self);
            return self.shape(document, &Value::Object(non_null), &hint).optional();
        }
        if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
            return match object.contains_key("properties") {
                true => self.struct_shape(document, schema, hint),
                false => self.reference(document, reference),
            };
        }
        if let Some(parts) = array(schema, "allOf") {
            return match parts {
                [only] if !object.contains_key("properties") => self.shape(document, only, hint),
                _ => self.struct_shape(document, schema, hint),
            };
        }
        if let Some(constant) = object.get("const") {
            return self.values_shape(document, schema, std::slice::from_ref(constant), hint);
        }
        if let Some(values) = array(schema, "enum") {
            return self.values_shape(document, schema, values, hint);
        }
        for key in ["oneOf", "anyOf"] {
            if let Some(branches) = array(schema, key) {
                // No serde representation has both common fields and variants without loss.
                return match object.contains_key("properties") {
                    true => Shape::Payload,
                    false => self.union(document, schema, branches, hint),
                };
            }
        }
        match object.get("type") {
            Some(Value::String(name)) => self.typed_shape(document, schema, name, hint),
            Some(Value::Array(types)) => {
                let types: Vec<&str> = types.iter().filter_map(Value::as_str).collect();
                let non_null: Vec<&str> =
                    types.iter().copied().filter(|name| *name != "null").collect();
                let is_nullable = non_null.len() < types.len();
                match non_null[..] {
                    [] => Shape::Unit,
                    [name] if is_nullable => {
                        let hint = hint.non_null(self);
                        self.typed_shape(document, schema, name, &hint).optional()
                    }
                    [name] => self.typed_shape(document, schema, name, hint),
                    _ => {
                        let branches: Vec<Value> =
                            types.iter().map(|name| with_type(object, name)).collect();
                        self.union(document, schema, &branches, hint)
                    }
                }
            }
            None if object.contains_key("properties") => {
                self.typed_shape(document, schema, "object", hint)
            }
            None if ["items", "prefixItems"].iter().any(|key| object.contains_key(*key)) => {
                self.typed_shape(document, schema, "array", hint)
            }
            _ => Shape::Payload,
        }
    }
}

//! JSON Schema, as schemars, zod and pydantic write it, read into types. What is not understood becomes raw JSON.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::document::{Document, Properties, decoded, docs, encoded, field_docs, list};
use super::names::{Names, given_type_name, type_name};
use super::types::{Field, Item, Kind, Shape, Struct, TextVariant};
use super::union::with_type;

/// The longest tuple and the longest array that have all traits.
const LONGEST_TUPLE: usize = 12;
const LONGEST_ARRAY: u64 = 32;

/// The types of one module.
#[derive(Debug)]
pub(super) struct Types {
    pub(super) items: Vec<Item>,
    names: Names,
    /// Definitions by their name and all that they consist of, so that functions share them.
    shared: HashMap<(String, String), usize>,
    /// Those by what they consist of alone.
    alike: HashMap<String, usize>,
}

/// Where a type is found, for its name.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The names that it may have, the best one first.
    pub(super) wanted: Vec<String>,
    /// An item that waits for its kind.
    pub(super) item: Option<usize>,
}

impl Place {
    pub(super) fn named(name: impl Into<String>) -> Self {
        Self { wanted: vec![name.into()], item: None }
    }

    /// The name that a schema has for itself is better.
    pub(super) fn or_title(mut self, schema: &Value) -> Self {
        let title = schema.get("title").and_then(Value::as_str).and_then(given_type_name);
        if self.item.is_none()
            && let Some(title) = title
        {
            self.wanted.insert(0, title);
        }
        self
    }

    /// The place of a part. It never is the item that waits.
    pub(super) fn part(&self, types: &Types, name: &str) -> Self {
        let whole = match self.item {
            Some(index) => &types.items[index].name,
            None => self.wanted.last().expect("a place has a name"),
        };
        Self::named(format!("{whole}{}", type_name(name)))
    }

    /// The same place for what is only a part of the type.
    pub(super) fn inner(&self, types: &Types) -> Self {
        if self.item.is_some() { self.part(types, "value") } else { self.clone() }
    }
}

impl Types {
    /// `names`: what else has a name in the module.
    pub(super) fn new(names: Names) -> Self {
        Self { items: Vec::new(), names, shared: HashMap::new(), alike: HashMap::new() }
    }

    /// Reads the definitions of a document.
    pub(super) fn define(&mut self, document: &mut Document<'_>) {
        for table in ["$defs", "definitions"] {
            let Some(Value::Object(definitions)) = document.root.0.get(table) else { continue };
            for name in definitions.keys() {
                self.reference(document, &format!("#/{table}/{}", encoded(name)));
            }
        }
    }

    /// The type of a whole document. A name is reserved for it; its title is better.
    pub(super) fn whole(&mut self, document: &mut Document<'_>) -> Shape {
        if let Some(shape) = document.seen.get("#") {
            return shape.clone();
        }
        let root = document.root.0;
        let title = root.get("title").and_then(Value::as_str).and_then(given_type_name);
        let content = document.root.content(root);
        if let Some(title) = &title {
            if let Some(index) = self.shared.get(&(title.clone(), content.clone())) {
                return Shape::Item(*index);
            }
        } else if let Some(index) = self.alike.get(&content) {
            return Shape::Item(*index);
        }
        let name = document.name.clone();
        let named = match title {
            Some(title) if title != name && self.names.take(&title) => title,
            _ => name.clone(),
        };
        let index = self.add(named.clone(), docs(root));
        document.seen.insert("#".to_owned(), Shape::Item(index));
        self.shared.insert((named, content), index);
        let place = Place { wanted: vec![name], item: Some(index) };
        let shape = self.shape(document, root, &place);
        self.settle(index, shape)
    }

    pub(super) fn add(&mut self, name: String, docs: String) -> usize {
        self.items.push(Item { name, docs, kind: Kind::Alias(Shape::Payload) });
        self.items.len() - 1
    }

    /// An item that waited is what was found: itself, or another name of it.
    fn settle(&mut self, index: usize, shape: Shape) -> Shape {
        if shape != Shape::Item(index) {
            self.items[index].kind = Kind::Alias(shape);
        }
        Shape::Item(index)
    }

    /// The item that waits for its kind, or a new one.
    pub(super) fn item(&mut self, document: &Document<'_>, place: &Place, docs: String) -> usize {
        if let Some(index) = place.item {
            return index;
        }
        let mut wanted: Vec<&str> = place.wanted.iter().map(String::as_str).collect();
        let longer = format!("{}{}", document.function, wanted[wanted.len() - 1]);
        wanted.push(&longer);
        let name = self.names.first_of(&wanted);
        self.add(name, docs)
    }

    /// The type that a reference stands for.
    fn reference(&mut self, document: &mut Document<'_>, reference: &str) -> Shape {
        if let Some(shape) = document.seen.get(reference) {
            return shape.clone();
        }
        let Some(target) = document.root.target(reference) else { return Shape::Payload };
        if reference == "#" {
            return self.whole(document);
        }
        let last = decoded(reference.rsplit(['/', '#']).next().unwrap_or_default())
            .replace("~1", "/")
            .replace("~0", "~");
        let wanted = given_type_name(&last).unwrap_or_else(|| type_name(&last));
        let wanted = if wanted.is_empty() { "Value".to_owned() } else { wanted };
        let content = document.root.content(target);
        let key = (wanted, content);
        if let Some(index) = self.shared.get(&key) {
            document.seen.insert(reference.to_owned(), Shape::Item(*index));
            return Shape::Item(*index);
        }
        let place = Place::named(key.0.clone());
        let index = self.item(document, &place, docs(target));
        document.seen.insert(reference.to_owned(), Shape::Item(index));
        // Not one whose name is taken: that it looks the same is chance.
        let own = self.items[index].name == key.0;
        if own && (target.get("properties").is_some() || target.get("oneOf").is_some()) {
            self.alike.entry(key.1.clone()).or_insert(index);
        }
        self.shared.insert(key, index);
        let place = Place { item: Some(index), ..place };
        let mut shape = self.shape(document, target, &place);
        if shape == Shape::Item(index) && matches!(self.items[index].kind, Kind::Alias(_)) {
            // A reference to itself says nothing.
            shape = Shape::Payload;
        }
        self.settle(index, shape)
    }

    /// The type of a schema.
    pub(super) fn shape(
        &mut self,
        document: &mut Document<'_>,
        schema: &Value,
        place: &Place,
    ) -> Shape {
        let Value::Object(object) = schema else { return Shape::Payload };
        if object.get("nullable") == Some(&Value::Bool(true)) {
            let mut rest = object.clone();
            rest.remove("nullable");
            let place = place.inner(self);
            return self.shape(document, &Value::Object(rest), &place).optional();
        }
        if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
            return match object.contains_key("properties") {
                true => self.structure(document, schema, place),
                false => self.reference(document, reference),
            };
        }
        if let Some(parts) = list(schema, "allOf") {
            return match parts {
                [only] if !object.contains_key("properties") => self.shape(document, only, place),
                _ => self.structure(document, schema, place),
            };
        }
        if let Some(constant) = object.get("const") {
            return self.values(document, schema, std::slice::from_ref(constant), place);
        }
        if let Some(values) = list(schema, "enum") {
            return self.values(document, schema, values, place);
        }
        for key in ["oneOf", "anyOf"] {
            if let Some(branches) = list(schema, key) {
                // Fields beside variants: no type of serde reads both without loss.
                return match object.contains_key("properties") {
                    true => Shape::Payload,
                    false => self.union(document, schema, branches, place),
                };
            }
        }
        match object.get("type") {
            Some(Value::String(one)) => self.of_type(document, schema, one, place),
            Some(Value::Array(types)) => {
                let types: Vec<&str> = types.iter().filter_map(Value::as_str).collect();
                let others: Vec<&str> =
                    types.iter().copied().filter(|one| *one != "null").collect();
                let nullable = others.len() < types.len();
                match others[..] {
                    [] => Shape::Unit,
                    [one] if nullable => {
                        let place = place.inner(self);
                        self.of_type(document, schema, one, &place).optional()
                    }
                    [one] => self.of_type(document, schema, one, place),
                    _ => {
                        let branches: Vec<Value> =
                            types.iter().map(|one| with_type(object, one)).collect();
                        self.union(document, schema, &branches, place)
                    }
                }
            }
            None if object.contains_key("properties") => {
                self.of_type(document, schema, "object", place)
            }
            None if ["items", "prefixItems"].iter().any(|key| object.contains_key(*key)) => {
                self.of_type(document, schema, "array", place)
            }
            _ => Shape::Payload,
        }
    }

    fn of_type(
        &mut self,
        document: &mut Document<'_>,
        schema: &Value,
        of: &str,
        place: &Place,
    ) -> Shape {
        match of {
            "null" => Shape::Unit,
            "boolean" => Shape::Bool,
            "string" => Shape::Text,
            "integer" => Shape::Number(integer(schema)),
            "number" => Shape::Number(match schema.get("format").and_then(Value::as_str) {
                Some("float") => "f32",
                _ => "f64",
            }),
            "array" => self.array(document, schema, place),
            "object" => self.object(document, schema, place),
            _ => Shape::Payload,
        }
    }

    /// A list, an array of a fixed length, or a tuple.
    fn array(&mut self, document: &mut Document<'_>, schema: &Value, place: &Place) -> Shape {
        let size = |key| schema.get(key).and_then(Value::as_u64);
        let fixed = size("minItems").filter(|least| Some(*least) == size("maxItems"));
        let items = schema.get("items");
        if let Some(parts) =
            list(schema, "prefixItems").or_else(|| items?.as_array().map(Vec::as_slice))
        {
            let count = parts.len();
            let closed = schema.get("additionalItems").or(items.filter(|items| items.is_boolean()))
                == Some(&Value::Bool(false));
            if !(closed || fixed == u64::try_from(count).ok())
                || !(1..=LONGEST_TUPLE).contains(&count)
            {
                return Shape::List(Box::new(Shape::Payload));
            }
            let parts = parts.iter().enumerate().map(|(at, part)| {
                let place = place.part(self, &format!("part{}", at + 1)).or_title(part);
                self.shape(document, part, &place)
            });
            return Shape::Tuple(parts.collect());
        }
        let Some(items) = items else { return Shape::List(Box::new(Shape::Payload)) };
        let part = place.part(self, "item").or_title(items);
        let one = Box::new(self.shape(document, items, &part));
        match fixed.filter(|count| (1..=LONGEST_ARRAY).contains(count)) {
            Some(count) => Shape::Array(one, usize::try_from(count).unwrap_or_default()),
            None => Shape::List(one),
        }
    }

    /// A struct or a map.
    fn object(&mut self, document: &mut Document<'_>, schema: &Value, place: &Place) -> Shape {
        let empty = |key| schema.get(key).and_then(Value::as_object).is_none_or(Map::is_empty);
        if !empty("properties") {
            return self.structure(document, schema, place);
        }
        let rest = schema.get("additionalProperties");
        let pattern = schema.get("patternProperties").and_then(Value::as_object);
        let values = match (rest, pattern.map(|of| of.values().collect::<Vec<_>>()).as_deref()) {
            // Keys that are numbers are texts on the wire.
            (None | Some(Value::Bool(false)), Some([only])) => *only,
            (Some(Value::Bool(false)), _) => return self.structure(document, schema, place),
            (Some(values), None) => values,
            // Nothing is said of what is in it: nothing must be lost.
            _ => &Value::Bool(true),
        };
        let part = place.part(self, "value").or_title(values);
        Shape::Map(Box::new(self.shape(document, values, &part)))
    }

    /// A struct of all the properties; raw JSON if it has no fixed ones.
    fn structure(&mut self, document: &mut Document<'_>, schema: &Value, place: &Place) -> Shape {
        let Some(found) = document.root.properties(schema) else { return Shape::Payload };
        let index = self.item(document, place, docs(schema));
        let place = Place { item: Some(index), ..place.clone() };
        let item = self.fields(document, &found, &place, None);
        self.items[index].kind = Kind::Struct(item);
        Shape::Item(index)
    }

    /// The fields of a struct or of a variant, without the one of the tag.
    pub(super) fn fields(
        &mut self,
        document: &mut Document<'_>,
        found: &Properties,
        place: &Place,
        tag: Option<&str>,
    ) -> Struct {
        let mut item = Struct::default();
        for (name, schema) in &found.fields {
            if tag == Some(name.as_str()) {
                continue;
            }
            let part = place.part(self, name).or_title(schema);
            item.fields.push(Field {
                wire: name.clone(),
                docs: field_docs(schema),
                shape: self.shape(document, schema, &part),
                required: found.requires(name),
            });
        }
        item.rest = match &found.rest {
            None | Some(Value::Bool(false)) => None,
            Some(rest) => {
                let part = place.part(self, "value").or_title(rest);
                Some(self.shape(document, rest, &part))
            }
        };
        item
    }

    /// One of some values.
    fn values(
        &mut self,
        document: &Document<'_>,
        schema: &Value,
        values: &[Value],
        place: &Place,
    ) -> Shape {
        let others: Vec<&Value> = values.iter().filter(|value| !value.is_null()).collect();
        if others.is_empty() {
            return Shape::Unit;
        }
        let nullable = others.len() < values.len();
        let mut texts: Vec<&str> = others.iter().filter_map(|value| value.as_str()).collect();
        let shape = if texts.len() == others.len() {
            let mut seen = HashSet::new();
            texts.retain(|text| seen.insert(*text));
            let place = if nullable { place.inner(self) } else { place.clone() };
            let index = self.item(document, &place, docs(schema));
            let variant = |wire: &str| TextVariant { wire: wire.to_owned(), docs: String::new() };
            self.items[index].kind = Kind::Texts(texts.into_iter().map(variant).collect());
            Shape::Item(index)
        } else if others.iter().all(|value| value.is_boolean()) {
            Shape::Bool
        } else if others.iter().all(|value| value.is_i64()) {
            Shape::Number("i64")
        } else if others.iter().all(|value| value.is_u64()) {
            Shape::Number("u64")
        } else if others.iter().all(|value| value.is_number()) {
            Shape::Number("f64")
        } else {
            return Shape::Payload;
        };
        if nullable { shape.optional() } else { shape }
    }
}

/// The Rust type of an integer, by its format and its least value.
fn integer(schema: &Value) -> &'static str {
    match schema.get("format").and_then(Value::as_str) {
        Some("int8") => "i8",
        Some("int16") => "i16",
        Some("int32") => "i32",
        Some("int64" | "int") => "i64",
        Some("uint8") => "u8",
        Some("uint16") => "u16",
        Some("uint32") => "u32",
        // `uint` is as wide as the machine of the other worker.
        Some("uint64" | "uint") => "u64",
        _ if schema.get("minimum").is_some_and(|least| least.as_f64() >= Some(0.0)) => "u64",
        _ => "i64",
    }
}

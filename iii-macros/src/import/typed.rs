//! Schemas of one JSON type: numbers, arrays, objects, and lists of values.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::document::{Properties, SchemaDocument, array, description, field_description};
use super::schema::{NameHint, TypeBuilder};
use super::types::{ItemKind, Shape, StringVariant, StructField, StructItem};

/// The longest tuple for which the standard library implements all derived traits.
const MAX_TUPLE_LENGTH: usize = 12;

/// The longest array for which serde implements its traits.
const MAX_ARRAY_LENGTH: u64 = 32;

impl TypeBuilder {
    /// Returns the type of a schema whose `type` is `name`.
    pub(super) fn typed_shape(
        &mut self,
        document: &mut SchemaDocument<'_>,
        schema: &Value,
        name: &str,
        hint: &NameHint,
    ) -> Shape {
        match name {
            "null" => Shape::Unit,
            "boolean" => Shape::Bool,
            "string" => Shape::String,
            "integer" => Shape::Number(integer_type(schema)),
            "number" => Shape::Number(match schema.get("format").and_then(Value::as_str) {
                Some("float") => "f32",
                _ => "f64",
            }),
            "array" => self.array_shape(document, schema, hint),
            "object" => self.object_shape(document, schema, hint),
            _ => Shape::Payload,
        }
    }

    /// Returns a list, an array of a fixed length, or a tuple.
    fn array_shape(
        &mut self,
        document: &mut SchemaDocument<'_>,
        schema: &Value,
        hint: &NameHint,
    ) -> Shape {
        let size = |key| schema.get(key).and_then(Value::as_u64);
        let fixed_length = size("minItems").filter(|min| Some(*min) == size("maxItems"));
        let items = schema.get("items");
        if let Some(parts) =
            array(schema, "prefixItems").or_else(|| items?.as_array().map(Vec::as_slice))
        {
            let length = parts.len();
            let additional =
                schema.get("additionalItems").or(items.filter(|items| items.is_boolean()));
            let is_closed = additional == Some(&Value::Bool(false));
            if !(is_closed || fixed_length == u64::try_from(length).ok())
                || !(1..=MAX_TUPLE_LENGTH).contains(&length)
            {
                return Shape::List(Box::new(Shape::Payload));
            }
            let parts = parts.iter().enumerate().map(|(at, part)| {
                let hint = hint.part(self, &format!("part{}", at + 1)).or_title(part);
                self.shape(document, part, &hint)
            });
            return Shape::Tuple(parts.collect());
        }
        let Some(items) = items else { return Shape::List(Box::new(Shape::Payload)) };
        let hint = hint.part(self, "item").or_title(items);
        let item = Box::new(self.shape(document, items, &hint));
        match fixed_length.filter(|length| (1..=MAX_ARRAY_LENGTH).contains(length)) {
            Some(length) => Shape::Array(item, usize::try_from(length).unwrap_or_default()),
            None => Shape::List(item),
        }
    }

    /// Returns a struct or a map.
    fn object_shape(
        &mut self,
        document: &mut SchemaDocument<'_>,
        schema: &Value,
        hint: &NameHint,
    ) -> Shape {
        let is_empty = |key| schema.get(key).and_then(Value::as_object).is_none_or(Map::is_empty);
        if !is_empty("properties") {
            return self.struct_shape(document, schema, hint);
        }
        let additional = schema.get("additionalProperties");
        let patterns = schema.get("patternProperties").and_then(Value::as_object);
        let patterns = patterns.map(|patterns| patterns.values().collect::<Vec<_>>());
        let values = match (additional, patterns.as_deref()) {
            // The pattern is not enforced: all keys are strings on the wire.
            (None | Some(Value::Bool(false)), Some([only])) => *only,
            (Some(Value::Bool(false)), _) => return self.struct_shape(document, schema, hint),
            (Some(values), None) => values,
            // Any properties are allowed, and none may be lost.
            _ => &Value::Bool(true),
        };
        let hint = hint.part(self, "value").or_title(values);
        Shape::Map(Box::new(self.shape(document, values, &hint)))
    }

    /// Returns a struct of all properties; raw JSON if the schema is more than an object.
    pub(super) fn struct_shape(
        &mut self,
        document: &mut SchemaDocument<'_>,
        schema: &Value,
        hint: &NameHint,
    ) -> Shape {
        let Some(properties) = document.root.properties(schema) else { return Shape::Payload };
        let index = self.item(document, hint, description(schema));
        let hint = NameHint { item: Some(index), ..hint.clone() };
        let item = self.fields(document, &properties, &hint, None);
        self.items[index].kind = ItemKind::Struct(item);
        Shape::Item(index)
    }

    /// Returns the fields of a struct or of a variant, without that of the tag.
    pub(super) fn fields(
        &mut self,
        document: &mut SchemaDocument<'_>,
        properties: &Properties,
        hint: &NameHint,
        tag: Option<&str>,
    ) -> StructItem {
        let mut item = StructItem::default();
        for (name, schema) in &properties.fields {
            if tag == Some(name.as_str()) {
                continue;
            }
            let hint = hint.part(self, name).or_title(schema);
            item.fields.push(StructField {
                wire: name.clone(),
                docs: field_description(schema),
                shape: self.shape(document, schema, &hint),
                required: properties.requires(name),
            });
        }
        item.additional = match &properties.additional {
            None | Some(Value::Bool(false)) => None,
            Some(additional) => {
                let hint = hint.part(self, "value").or_title(additional);
                Some(self.shape(document, additional, &hint))
            }
        };
        item
    }

    /// Returns the type of an `enum` or a `const`.
    pub(super) fn values_shape(
        &mut self,
        document: &SchemaDocument<'_>,
        schema: &Value,
        values: &[Value],
        hint: &NameHint,
    ) -> Shape {
        let non_null: Vec<&Value> = values.iter().filter(|value| !value.is_null()).collect();
        if non_null.is_empty() {
            return Shape::Unit;
        }
        let is_nullable = non_null.len() < values.len();
        let mut strings: Vec<&str> = non_null.iter().filter_map(|value| value.as_str()).collect();
        let shape = if strings.len() == non_null.len() {
            let mut seen = HashSet::new();
            strings.retain(|string| seen.insert(*string));
            let hint = if is_nullable { hint.non_null(self) } else { hint.clone() };
            let index = self.item(document, &hint, description(schema));
            let variant = |wire: &str| StringVariant { wire: wire.to_owned(), docs: String::new() };
            let variants = strings.into_iter().map(variant).collect();
            self.items[index].kind = ItemKind::StringEnum(variants);
            Shape::Item(index)
        } else if non_null.iter().all(|value| value.is_boolean()) {
            Shape::Bool
        } else if non_null.iter().all(|value| value.is_i64()) {
            Shape::Number("i64")
        } else if non_null.iter().all(|value| value.is_u64()) {
            Shape::Number("u64")
        } else if non_null.iter().all(|value| value.is_number()) {
            Shape::Number("f64")
        } else {
            return Shape::Payload;
        };
        if is_nullable { shape.optional() } else { shape }
    }
}

/// Returns the Rust type of an integer, by its format and its minimum.
fn integer_type(schema: &Value) -> &'static str {
    match schema.get("format").and_then(Value::as_str) {
        Some("int8") => "i8",
        Some("int16") => "i16",
        Some("int32") => "i32",
        Some("int64" | "int") => "i64",
        Some("uint8") => "u8",
        Some("uint16") => "u16",
        Some("uint32") => "u32",
        // The width of `uint` is that of the other worker's machine.
        Some("uint64" | "uint") => "u64",
        _ if schema.get("minimum").is_some_and(|min| min.as_f64() >= Some(0.0)) => "u64",
        _ => "i64",
    }
}

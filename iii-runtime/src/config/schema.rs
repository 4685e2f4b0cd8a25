//! JSON Schema of a configuration, and what a message says a field must be.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::describe::{ConfigDescriptor, Content, Field};
use iii_wire::protocol::Payload;
use iii_wire::schema::memoized;

/// Whom a schema is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    /// Those who write a whole configuration: it names what is needed, and takes nothing that is unknown.
    People,
    /// The engine's store, which holds what differs from the other sources: nothing is needed there, and a worker of
    /// another version may know more.
    Store,
}

/// The schema of a configuration.
pub(super) fn document(config: &'static ConfigDescriptor, audience: Audience) -> Payload {
    // Any address inside of the descriptor belongs to it alone.
    let address = match audience {
        Audience::People => std::ptr::from_ref(config) as usize,
        Audience::Store => std::ptr::from_ref(&config.name) as usize + 1,
    };
    memoized(address, || {
        let mut settings = SchemaSettings::draft2020_12();
        settings.meta_schema = None;
        let mut generator = settings.into_generator();
        let mut root = object(config.fields, audience, &mut generator);
        if let Some(description) = config.description {
            root.insert("description".to_owned(), description.into());
        }
        if audience == Audience::Store {
            // What nobody has set yet is null.
            root.insert("type".to_owned(), json!(["object", "null"]));
        }
        let definitions = generator.take_definitions(true);
        if !definitions.is_empty() {
            root.insert("$defs".to_owned(), Value::Object(definitions));
        }
        let mut root = Value::Object(root);
        durations_as_text(&mut root);
        Payload::new(&root).unwrap_or_default()
    })
}

fn object(
    fields: &'static [Field],
    audience: Audience,
    generator: &mut SchemaGenerator,
) -> Map<String, Value> {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in fields {
        let schema = match field.content {
            Content::Nested { fields, optional } => {
                let mut schema = object(fields, audience, generator);
                if optional || audience == Audience::Store {
                    schema.insert("type".to_owned(), json!(["object", "null"]));
                } else if schema.contains_key("required") {
                    required.push(Value::from(field.key));
                }
                schema
            }
            Content::Value { optional, default, .. } => {
                if default.is_none() && !optional() {
                    required.push(Value::from(field.key));
                }
                value(field, generator)
            }
        };
        let mut schema = schema;
        if let Some(description) = field.description {
            schema.insert("description".to_owned(), description.into());
        }
        properties.insert(field.key.to_owned(), Value::Object(schema));
    }
    let mut object = Map::new();
    object.insert("type".to_owned(), "object".into());
    object.insert("properties".to_owned(), Value::Object(properties));
    if audience == Audience::People {
        object.insert("additionalProperties".to_owned(), false.into());
        if !required.is_empty() {
            object.insert("required".to_owned(), Value::Array(required));
        }
    }
    object
}

/// The schema of one value, with what the field says about it.
fn value(field: &'static Field, generator: &mut SchemaGenerator) -> Map<String, Value> {
    let Content::Value { schema, default, min, max, .. } = field.content else { return Map::new() };
    let mut schema = match Value::from(schema(generator)) {
        Value::Object(schema) => schema,
        _ => Map::new(),
    };
    for (name, bound) in [("minimum", min), ("maximum", max)] {
        // A span of time is text, which has no bounds in a schema.
        if let Some(bound) = bound.and_then(|bound| serde_json::from_str::<Value>(bound).ok()) {
            schema.insert(name.to_owned(), bound);
        }
    }
    if field.secret {
        schema.insert("writeOnly".to_owned(), true.into());
        schema.insert("format".to_owned(), "password".into());
    } else if let Some(default) = default.and_then(|default| default()) {
        schema.insert("default".to_owned(), default);
    }
    schema
}

/// Spans of time are written as text, wherever they are in a schema.
fn durations_as_text(schema: &mut Value) {
    match schema {
        Value::Object(parts) => {
            if is_duration(parts) {
                for part in ["required", "properties"] {
                    parts.remove(part);
                }
                parts.insert("type".to_owned(), "string".into());
                parts.insert("examples".to_owned(), json!(["30s", "1m 30s", "500ms"]));
                return;
            }
            parts.values_mut().for_each(durations_as_text);
        }
        Value::Array(items) => items.iter_mut().for_each(durations_as_text),
        _ => {}
    }
}

/// Whether this is what `schemars` makes of a `Duration`.
fn is_duration(schema: &Map<String, Value>) -> bool {
    let fields = schema.get("properties").and_then(Value::as_object);
    fields.is_some_and(|fields| {
        fields.len() == 2 && fields.contains_key("secs") && fields.contains_key("nanos")
    })
}

/// What a field must be, for people.
pub(super) fn expected(field: &'static Field) -> String {
    let Content::Value { schema, min, max, .. } = field.content else {
        return "an object".to_owned();
    };
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    let mut schema = Value::from(schema(&mut settings.into_generator()));
    let is_duration = schema.as_object().is_some_and(is_duration)
        || parts(&schema).any(|part| part.as_object().is_some_and(is_duration));
    durations_as_text(&mut schema);
    let what = if is_duration {
        "a span of time, such as `30s` or `1m 30s`".to_owned()
    } else {
        described(&schema, min, max)
    };
    match (min, max) {
        (None, None) => what,
        (Some(min), Some(max)) => format!("{} from {min} to {max}", short(&what)),
        (Some(min), None) => format!("{} of at least {min}", short(&what)),
        (None, Some(max)) => format!("{} of at most {max}", short(&what)),
    }
}

/// Without examples, which bounds make needless.
fn short(what: &str) -> &str {
    what.split_once(',').map_or(what, |(what, _)| what)
}

/// The alternatives of a schema.
fn parts(schema: &Value) -> impl Iterator<Item = &Value> {
    let of = |key: &str| schema.get(key).and_then(Value::as_array).into_iter().flatten();
    of("anyOf").chain(of("oneOf"))
}

fn described(schema: &Value, min: Option<&str>, max: Option<&str>) -> String {
    if let Some(words) = words(schema) {
        return format!("one of {}", words.join(", "));
    }
    let kind = match schema.get("type") {
        Some(Value::String(kind)) => Some(kind.as_str()),
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null")
        }
        _ => None,
    };
    let Some(kind) = kind else {
        let is_null = |part: &&Value| part.get("type").and_then(Value::as_str) == Some("null");
        let mut real = parts(schema).filter(|part| !is_null(part));
        return match (real.next(), real.next()) {
            (Some(only), None) => described(only, min, max),
            _ => "a value that fits".to_owned(),
        };
    };
    let format = schema.get("format").and_then(Value::as_str);
    match kind {
        "integer" if min.is_some() || max.is_some() => "a whole number".to_owned(),
        "integer" => match format.and_then(range) {
            Some((least, most)) => format!("a whole number from {least} to {most}"),
            None => "a whole number".to_owned(),
        },
        "number" => "a number".to_owned(),
        "boolean" => "`true` or `false`".to_owned(),
        "string" => match format {
            Some(format) => format!("a text of the format `{format}`"),
            None => "a text".to_owned(),
        },
        "array" => "a list".to_owned(),
        "object" => "an object".to_owned(),
        _ => "a value that fits".to_owned(),
    }
}

/// The words that a schema allows, if it allows nothing else.
fn words(schema: &Value) -> Option<Vec<String>> {
    let word = |value: &Value| value.as_str().map(|word| format!("`{word}`"));
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return words.iter().filter(|value| !value.is_null()).map(word).collect();
    }
    let alternatives = schema.get("oneOf").and_then(Value::as_array)?;
    let each = alternatives.iter().map(|one| match (one.get("const"), words(one)) {
        (Some(only), _) => word(only).map(|word| vec![word]),
        (None, words) => words,
    });
    each.collect::<Option<Vec<_>>>().map(|all| all.concat())
}

/// The range of a whole number, by the name of its type in schemas.
fn range(format: &str) -> Option<(i128, i128)> {
    Some(match format {
        "uint8" => (0, u8::MAX.into()),
        "uint16" => (0, u16::MAX.into()),
        "uint32" => (0, u32::MAX.into()),
        "uint64" | "uint" => (0, u64::MAX.into()),
        "int8" => (i8::MIN.into(), i8::MAX.into()),
        "int16" => (i16::MIN.into(), i16::MAX.into()),
        "int32" => (i32::MIN.into(), i32::MAX.into()),
        "int64" | "int" => (i64::MIN.into(), i64::MAX.into()),
        _ => return None,
    })
}

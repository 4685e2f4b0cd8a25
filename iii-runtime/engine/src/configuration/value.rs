//! Values of configurations: variables in their texts, and their schemas.

use jsonschema::PatternOptions;
use serde_json::Value;

use crate::expand::{Unset, expand, is_one_variable};
use iii_wire::protocol::Payload;

/// Bytes of a schema. Schemas are compiled while callers wait.
const SCHEMA_BYTES: usize = 1 << 20;
/// Bytes of a compiled pattern of a schema.
const PATTERN_BYTES: usize = 1 << 20;

/// Puts values in the place of the variables in all texts of a value, but not in the names of fields. A text that is one
/// variable and nothing else becomes what its value is in YAML: a number, true, a text. All else stays as it is written.
///
/// # Errors
///
/// The first variable that is not set and has no default.
pub(super) fn expanded(
    value: &Payload,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Payload, Unset> {
    let text = value.as_str();
    // A `$` may also be written as an escape; nobody who means a variable does that.
    if !text.contains("${") {
        return Ok(value.clone());
    }
    let mut built = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('"') {
        let Some(length) = text_length(&rest[start..]) else { break };
        let (before, quoted) = (&rest[..start], &rest[start..start + length]);
        rest = &rest[start + length..];
        built.push_str(before);
        let is_name = rest.trim_start().starts_with(':');
        match serde_json::from_str::<String>(quoted) {
            Ok(plain) if !is_name && plain.contains("${") => {
                let one = is_one_variable(&plain);
                let plain = expand(&plain, variable)?;
                let typed = if one { yaml(&plain) } else { Value::from(&*plain) };
                built.push_str(&typed.to_string());
            }
            _ => built.push_str(quoted),
        }
    }
    built.push_str(rest);
    Ok(Payload::from_built(built))
}

/// How long the text is, with its quotes, that begins here.
fn text_length(json: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in json.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// What a text is in YAML; itself if it is not YAML.
fn yaml(text: &str) -> Value {
    if text.trim().is_empty() {
        return Value::Null;
    }
    serde_saphyr::from_str(text).unwrap_or_else(|_| Value::from(text))
}

/// A schema that values can be checked against.
pub(super) struct Schema(Option<jsonschema::Validator>);

impl Schema {
    /// Compiles a schema; null allows everything. References to other documents are refused.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn new(schema: &Payload) -> Result<Self, String> {
        if schema.is_null() {
            return Ok(Self(None));
        }
        if schema.as_str().len() > SCHEMA_BYTES {
            return Err(format!("the schema is longer than {SCHEMA_BYTES} bytes"));
        }
        let schema = schema.parse::<Value>().map_err(|error| error.to_string())?;
        // Patterns that go back and forth could hold up everybody: this kind takes time by length only.
        let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES);
        let validator = jsonschema::options()
            .with_pattern_options(patterns)
            .build(&schema)
            .map_err(|error| format!("the schema cannot be used: {error}"))?;
        Ok(Self(Some(validator)))
    }

    /// Checks a value.
    ///
    /// # Errors
    ///
    /// Where the value does not fit, and why. The message does not show the value, which may be a secret.
    pub(super) fn check(&self, value: &Payload) -> Result<(), String> {
        let Some(validator) = &self.0 else { return Ok(()) };
        let value = value.parse::<Value>().map_err(|error| error.to_string())?;
        validator.validate(&value).map_err(|error| {
            let place = error.instance_path().to_string();
            let place =
                if place.is_empty() { "the value".to_owned() } else { format!("`{place}`") };
            format!("{place} does not fit the schema: {}", error.masked())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::testing::json;

    fn variable(name: &str) -> Option<String> {
        match name {
            "PORT" => Some("8080".to_owned()),
            "QUOTE" => Some("a\"b\\".to_owned()),
            _ => None,
        }
    }

    fn of(text: &str) -> String {
        expanded(&json(text), &variable).unwrap().as_str().to_owned()
    }

    #[test]
    fn variables_alone_are_typed_and_others_are_text() {
        let value = r#"{"b": "${PORT}", "a":[ "x${PORT}", "${N:1.50}","${T:true}","${S:hi}","${E:}", 1.50 ],"${PORT}":"\"$"}"#;
        let expected = r#"{"b": 8080, "a":[ "x8080", 1.5,true,"hi",null, 1.50 ],"${PORT}":"\"$"}"#;
        assert_eq!(of(value), expected);
        assert_eq!(of(r#""<${QUOTE}>""#), r#""<a\"b\\>""#);
        assert_eq!(of(r#""\\\"${PORT} ""#), r#""\\\"8080 ""#);
        for same in [r#"{"a": 1.0}"#, r#""${""#, "null", r#"["${}", "$PORT"]"#] {
            assert_eq!(of(same), same);
        }
        assert_eq!(expanded(&json(r#"["${NO}"]"#), &variable).unwrap_err().name, "NO");
    }

    #[test]
    fn schemas_check_values_and_themselves() {
        let schema = Schema::new(&json(
            r#"{"type":"object","properties":{"port":{"type":"integer","maximum":9}},"required":["port"]}"#,
        ))
        .ok()
        .unwrap();
        schema.check(&json(r#"{"port":9}"#)).unwrap();
        let error = schema.check(&json(r#"{"port":10}"#)).unwrap_err();
        assert!(error.contains("`/port`") && !error.contains("10"), "{error}");
        assert!(schema.check(&json("{}")).is_err());
        assert!(Schema::new(&Payload::null()).ok().unwrap().check(&json("7")).is_ok());
        for bad in [r#"{"type":"nonsense"}"#, "7", r#"{"$ref":"https://example.com/x.json"}"#] {
            assert!(Schema::new(&json(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pattern_that_would_take_for_ever_does_not() {
        let schema = Schema::new(&json(r#"{"pattern":"^(a+)+$"}"#)).ok().unwrap();
        let long = format!("\"{}b\"", "a".repeat(5000));
        assert!(schema.check(&json(&long)).is_err());
    }
}

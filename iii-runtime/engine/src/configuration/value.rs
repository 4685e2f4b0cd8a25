//! Configuration values: expansion of variables and validation against a JSON Schema.

use jsonschema::PatternOptions;
use serde_json::Value;

use crate::expand::{UnsetVariable, expand_variables, is_single_placeholder};
use iii_wire::protocol::Payload;

/// Maximum size of a schema, in bytes. Schemas are compiled while callers wait.
const MAX_SCHEMA_BYTES: usize = 1 << 20;
/// Maximum size of a compiled regular expression of a schema, in bytes.
const MAX_PATTERN_BYTES: usize = 1 << 20;

/// Substitutes the variables in all strings of a value except object keys. A string that consists of one variable is
/// parsed as YAML, and may become a number or a Boolean. Everything else is kept verbatim.
///
/// # Errors
///
/// The first variable that is not set and has no default.
pub(super) fn expand_value(
    value: &Payload,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Payload, UnsetVariable> {
    let json = value.as_str();
    // Variables whose `$` is written as an escape sequence are not supported.
    if !json.contains("${") {
        return Ok(value.clone());
    }
    let mut expanded = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(start) = rest.find('"') {
        let Some(length) = string_length(&rest[start..]) else { break };
        let (before, quoted) = (&rest[..start], &rest[start..start + length]);
        rest = &rest[start + length..];
        expanded.push_str(before);
        let is_key = rest.trim_start().starts_with(':');
        match serde_json::from_str::<String>(quoted) {
            Ok(string) if !is_key && string.contains("${") => {
                let is_variable = is_single_placeholder(&string);
                let string = expand_variables(&string, variable)?;
                let typed = if is_variable { parse_yaml(&string) } else { Value::from(&*string) };
                expanded.push_str(&typed.to_string());
            }
            _ => expanded.push_str(quoted),
        }
    }
    expanded.push_str(rest);
    Ok(Payload::from_built(expanded))
}

/// Returns the length of the JSON string at the start of `json`, including its quotes.
fn string_length(json: &str) -> Option<usize> {
    let mut escaped = false;
    for (index, byte) in json.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(index + 1),
            _ => {}
        }
    }
    None
}

/// Parses a YAML scalar. Text that is not valid YAML is a string.
fn parse_yaml(text: &str) -> Value {
    if text.trim().is_empty() {
        return Value::Null;
    }
    serde_saphyr::from_str(text).unwrap_or_else(|_| Value::from(text))
}

/// A compiled JSON Schema of a configuration value.
pub(super) struct ValueSchema(Option<jsonschema::Validator>);

impl ValueSchema {
    /// Compiles a schema. Null allows every value. References to other documents are not supported.
    ///
    /// # Errors
    ///
    /// The reason why the schema is invalid.
    pub(super) fn new(schema: &Payload) -> Result<Self, String> {
        if schema.is_null() {
            return Ok(Self(None));
        }
        if schema.as_str().len() > MAX_SCHEMA_BYTES {
            return Err(format!("the schema exceeds {MAX_SCHEMA_BYTES} bytes"));
        }
        let schema = schema.parse::<Value>().map_err(|error| error.to_string())?;
        // This engine matches in linear time; backtracking could block the engine.
        let patterns = PatternOptions::regex().size_limit(MAX_PATTERN_BYTES);
        let validator = jsonschema::options()
            .with_pattern_options(patterns)
            .build(&schema)
            .map_err(|error| format!("the schema is invalid: {error}"))?;
        Ok(Self(Some(validator)))
    }

    /// Validates a value.
    ///
    /// # Errors
    ///
    /// The location of the first violation, with the reason. The message omits the value, which may be a secret.
    pub(super) fn validate(&self, value: &Payload) -> Result<(), String> {
        let Some(validator) = &self.0 else { return Ok(()) };
        let value = value.parse::<Value>().map_err(|error| error.to_string())?;
        validator.validate(&value).map_err(|error| {
            let path = error.instance_path().to_string();
            let location =
                if path.is_empty() { "the value".to_owned() } else { format!("`{path}`") };
            format!("{location} violates the schema: {}", error.masked())
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

    fn expanded(text: &str) -> String {
        expand_value(&json(text), &variable).unwrap().as_str().to_owned()
    }

    #[test]
    fn single_variable_is_typed_and_embedded_variables_are_strings() {
        let value = r#"{"b": "${PORT}", "a":[ "x${PORT}", "${N:1.50}","${T:true}","${S:hi}","${E:}", 1.50 ],"${PORT}":"\"$"}"#;
        let expected = r#"{"b": 8080, "a":[ "x8080", 1.5,true,"hi",null, 1.50 ],"${PORT}":"\"$"}"#;
        assert_eq!(expanded(value), expected);
        assert_eq!(expanded(r#""<${QUOTE}>""#), r#""<a\"b\\>""#);
        assert_eq!(expanded(r#""\\\"${PORT} ""#), r#""\\\"8080 ""#);
        for same in [r#"{"a": 1.0}"#, r#""${""#, "null", r#"["${}", "$PORT"]"#] {
            assert_eq!(expanded(same), same);
        }
        assert_eq!(expand_value(&json(r#"["${NO}"]"#), &variable).unwrap_err().name, "NO");
    }

    #[test]
    fn schema_validates_values_and_invalid_schemas_are_rejected() {
        let schema = ValueSchema::new(&json(
            r#"{"type":"object","properties":{"port":{"type":"integer","maximum":9}},"required":["port"]}"#,
        ))
        .ok()
        .unwrap();
        schema.validate(&json(r#"{"port":9}"#)).unwrap();
        let error = schema.validate(&json(r#"{"port":10}"#)).unwrap_err();
        assert!(error.contains("`/port`") && !error.contains("10"), "{error}");
        assert!(schema.validate(&json("{}")).is_err());
        assert!(ValueSchema::new(&Payload::null()).ok().unwrap().validate(&json("7")).is_ok());
        for bad in [r#"{"type":"nonsense"}"#, "7", r#"{"$ref":"https://example.com/x.json"}"#] {
            assert!(ValueSchema::new(&json(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn pattern_with_nested_quantifiers_matches_in_linear_time() {
        let schema = ValueSchema::new(&json(r#"{"pattern":"^(a+)+$"}"#)).ok().unwrap();
        let long = format!("\"{}b\"", "a".repeat(5000));
        assert!(schema.validate(&json(&long)).is_err());
    }
}

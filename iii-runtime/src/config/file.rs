//! The configuration file: JSON, or TOML with the feature `toml`.
//!
//! YAML is not among them: the library for it comes with the engine only, and a file that one build of a program reads
//! and another does not is a trap.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::describe::declared;
use super::problem::ConfigProblem;
use super::source::Variables;

/// The variable that names the file.
pub(super) const FILE: &str = "III_CONFIG_FILE";

/// A file that was read.
#[derive(Debug)]
pub(crate) struct File {
    pub(super) path: PathBuf,
    pub(super) value: Value,
}

/// Reads the file that the app names, else the one that the environment names, if there is one.
///
/// # Errors
///
/// If there is no such file, or it cannot be read.
pub(crate) fn named(
    path: Option<&Path>,
    variables: &Variables,
) -> Result<Option<Arc<File>>, Box<ConfigProblem>> {
    let path = match path {
        Some(path) => path.to_owned(),
        None => match variables.get(FILE) {
            Ok(Some(path)) => PathBuf::from(path),
            Ok(None) => return Ok(None),
            Err(_) => return Err(problem(format!("the variable `{FILE}` is no UTF-8 text"))),
        },
    };
    let shown = path.display();
    let text = std::fs::read_to_string(&path).map_err(|error| {
        let text = format!("the configuration file `{shown}` cannot be read: {error}");
        Box::new(problem(text).help(format!("`{FILE}` or `app.config_file(…)` names the file")))
    })?;
    let value = parse(&path, &text)
        .map_err(|why| problem(format!("the configuration file `{shown}` {why}")))?;
    if !value.is_object() {
        return Err(problem(format!("the configuration file `{shown}` must hold an object")));
    }
    Ok(Some(Arc::new(File { path, value })))
}

/// A problem of the whole file.
fn problem(message: String) -> Box<ConfigProblem> {
    Box::new(ConfigProblem::of_file(message))
}

fn parse(path: &Path, text: &str) -> Result<Value, String> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        // The messages of the parsers may show what is in the file: only the place is told.
        "json" => serde_json::from_str(text).map_err(|error| {
            format!("is not JSON, at line {}, column {}", error.line(), error.column())
        }),
        "toml" => toml(text),
        _ => Err("must end with `.json` or `.toml`".to_owned()),
    }
}

#[cfg(feature = "toml")]
fn toml(text: &str) -> Result<Value, String> {
    fn json(value: toml::Value) -> Value {
        match value {
            toml::Value::String(text) => text.into(),
            toml::Value::Integer(number) => number.into(),
            toml::Value::Float(number) => number.into(),
            toml::Value::Boolean(value) => value.into(),
            toml::Value::Datetime(time) => time.to_string().into(),
            toml::Value::Array(items) => items.into_iter().map(json).collect(),
            toml::Value::Table(table) => {
                table.into_iter().map(|(key, value)| (key, json(value))).collect()
            }
        }
    }
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        format!("is not TOML, at line {}", before.matches('\n').count() + 1)
    })?;
    Ok(json(toml::Value::Table(table)))
}

#[cfg(not(feature = "toml"))]
fn toml(_: &str) -> Result<Value, String> {
    Err("is TOML: turn the feature `toml` of `iii-runtime` on, or write JSON".to_owned())
}

impl File {
    /// The part of the file that holds a configuration; `None` if it is not there.
    pub(super) fn section(&self, section: Option<&str>) -> Option<&Value> {
        match section {
            Some(section) => self.value.get(section),
            None => Some(&self.value),
        }
    }

    /// Keys of the file itself that belong to no configuration.
    pub(super) fn unknown(&self) -> Vec<ConfigProblem> {
        let Value::Object(keys) = &self.value else { return Vec::new() };
        let mut known: Vec<&str> = Vec::new();
        for one in declared() {
            match one.section {
                Some(section) => known.push(section),
                None => known.extend(one.fields.iter().map(|field| field.key)),
            }
        }
        let unknown = keys.keys().filter(|key| !known.contains(&key.as_str()));
        unknown.map(|key| ConfigProblem::unknown(None, key, &known, &self.place(&[key]))).collect()
    }

    /// Where a key is, for people.
    pub(super) fn place(&self, path: &[&str]) -> String {
        let file = self.path.display();
        if path.is_empty() {
            return format!("the file `{file}`");
        }
        format!("`{}` in the file `{file}`", path.join("."))
    }
}

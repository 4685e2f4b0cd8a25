//! Reads a configuration from its sources: each field from the first one that has it, and all problems noted.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Configurable;
use super::describe::{ConfigDescriptor, Content, Field};
use super::problem::ConfigProblem;
use super::schema::expected;
use super::source::Sources;
use super::value::{Found, is_within};

/// Characters of a value that a message shows.
const SHOWN: usize = 80;

/// Reads the fields of one configuration. What the derive writes uses it.
pub struct Reader<'a> {
    config: &'static ConfigDescriptor,
    sources: &'a Sources,
    /// The fields that are around the one that is read.
    path: Vec<&'static str>,
    /// What the names of variables begin with.
    prefix: String,
    problems: Vec<ConfigProblem>,
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("config", &self.config.name).finish_non_exhaustive()
    }
}

/// The default of a field.
#[derive(Debug)]
pub enum ValueDefault<T> {
    /// There is none.
    None,
    /// Text, read as that of a variable.
    Text(&'static str),
    /// A value.
    Value(fn() -> T),
}

/// Reads a whole configuration.
///
/// # Errors
///
/// All problems.
pub(super) fn whole<T: Configurable>(sources: &Sources) -> Result<T, Vec<ConfigProblem>> {
    let config = T::descriptor();
    let mut reader = Reader {
        config,
        sources,
        path: Vec::new(),
        prefix: config.prefix.to_owned(),
        problems: Vec::new(),
    };
    let value = T::read(&mut reader);
    let mut problems = reader.problems;
    if let Some(file) = &sources.file {
        let place = |path: &[&str]| {
            let section: Vec<&str> =
                config.section.into_iter().chain(path.iter().copied()).collect();
            file.place(&section)
        };
        if let Some(section) = file.section(config.section).filter(|_| config.section.is_some()) {
            problems.extend(unknown(config, config.fields, section, &mut Vec::new(), &place));
        } else {
            for field in config.fields {
                if let (Content::Nested { fields, .. }, Some(inner)) =
                    (field.content, file.value.get(field.key))
                {
                    problems.extend(unknown(config, fields, inner, &mut vec![field.key], &place));
                }
            }
        }
        problems.extend(file.unknown());
    }
    match value {
        Some(value) if problems.is_empty() => Ok(value),
        _ => Err(problems),
    }
}

/// Keys of a value of the store that nobody reads. A newer worker may know them, so they are no mistake.
pub(super) fn unknown_in_store(
    config: &'static ConfigDescriptor,
    value: &Value,
) -> Vec<ConfigProblem> {
    let place = |path: &[&str]| in_store(config, path);
    if value.is_null() {
        return Vec::new();
    }
    unknown(config, config.fields, value, &mut Vec::new(), &place)
}

/// Keys that nobody reads, and values that should be objects.
fn unknown<'v>(
    config: &'static ConfigDescriptor,
    fields: &'static [Field],
    value: &'v Value,
    path: &mut Vec<&'v str>,
    place: &dyn Fn(&[&str]) -> String,
) -> Vec<ConfigProblem> {
    let Value::Object(keys) = value else {
        if value.is_null() {
            return Vec::new();
        }
        let name = if path.is_empty() { config.name.to_owned() } else { path.join(".") };
        let problem =
            ConfigProblem::new(config, &path.join("."), format!("`{name}` must be an object"));
        return vec![problem.from(place(path))];
    };
    let known: Vec<&str> = fields.iter().map(|field| field.key).collect();
    let mut problems = Vec::new();
    for (key, value) in keys {
        path.push(key);
        match fields.iter().find(|field| field.key == key) {
            None => problems.push(ConfigProblem::unknown(Some(config), key, &known, &place(path))),
            Some(Field { content: Content::Nested { fields, .. }, .. }) => {
                problems.extend(unknown(config, fields, value, path, place));
            }
            Some(_) => {}
        }
        path.pop();
    }
    problems
}

fn in_store(config: &ConfigDescriptor, path: &[&str]) -> String {
    let id = config.id.unwrap_or_default();
    format!("`{}` in the configuration `{id}` of the engine's store", path.join("."))
}

impl Reader<'_> {
    /// Reads a field with one value.
    pub fn value<T: DeserializeOwned>(
        &mut self,
        field: &'static Field,
        default: &ValueDefault<T>,
    ) -> Option<T> {
        let Content::Value { optional: _, min, max, .. } = field.content else { return None };
        let (found, source) = match self.find(field) {
            Ok(found) => found,
            Err(problem) => {
                self.problems.push(*problem);
                return None;
            }
        };
        let (found, source) = match (found, default) {
            (Found::Nothing, ValueDefault::Value(make)) => return Some(make()),
            (Found::Nothing, ValueDefault::Text(text)) => {
                (Found::Text((*text).to_owned()), Some("its default".to_owned()))
            }
            (found, _) => (found, source),
        };
        let missing = matches!(found, Found::Nothing);
        let within = is_within(&found, min, max);
        let shown = shown(&found);
        let why = match found.parse::<T>() {
            Ok(value) if within => return Some(value),
            Ok(_) => None,
            Err(error) => Some(error.to_string()),
        };
        let problem = if missing {
            self.missing(field)
        } else {
            self.misfit(field, &shown, why.as_deref(), source.unwrap_or_default())
        };
        self.problems.push(problem);
        None
    }

    /// Reads a field with fields of its own.
    pub fn nested<T: Configurable>(&mut self, field: &'static Field) -> Option<T> {
        let prefix = match field.variable.name(&self.prefix, field.key) {
            Some(prefix) => std::mem::replace(&mut self.prefix, prefix),
            None => self.prefix.clone(),
        };
        self.path.push(field.key);
        let value = T::read(self);
        self.path.pop();
        self.prefix = prefix;
        value
    }

    /// Whether any source has something of a field with fields of its own.
    pub fn has_any(&mut self, field: &'static Field) -> bool {
        let Content::Nested { fields, .. } = field.content else { return false };
        let prefix = field.variable.name(&self.prefix, field.key).unwrap_or_default();
        let prefix = std::mem::replace(&mut self.prefix, prefix);
        self.path.push(field.key);
        let has = fields.iter().any(|field| match field.content {
            Content::Value { .. } => {
                self.find(field).map_or(true, |(found, _)| !matches!(found, Found::Nothing))
            }
            Content::Nested { .. } => self.has_any(field),
        });
        self.path.pop();
        self.prefix = prefix;
        has
    }

    /// The value of the first source that has one, and where it is. Null counts as none.
    fn find(&self, field: &'static Field) -> Result<(Found, Option<String>), Box<ConfigProblem>> {
        if let Some(name) = field.variable.name(&self.prefix, field.key) {
            match self.sources.variables.get(&name) {
                Ok(Some(text)) => {
                    return Ok((Found::Text(text), Some(format!("the variable `{name}`"))));
                }
                Ok(None) => {}
                Err(_) => {
                    let text = format!("the variable `{name}` is no UTF-8 text");
                    return Err(Box::new(ConfigProblem::new(self.config, &self.name(field), text)));
                }
            }
        }
        let path: Vec<&str> = self.path.iter().copied().chain([field.key]).collect();
        if let Some(value) = self.sources.store.as_ref().and_then(|value| at(value, &path)) {
            return Ok((Found::Json(value.clone()), Some(in_store(self.config, &path))));
        }
        if let Some(file) = &self.sources.file {
            let section = file.section(self.config.section);
            if let Some(value) = section.and_then(|value| at(value, &path)) {
                let path: Vec<&str> = self.config.section.into_iter().chain(path).collect();
                return Ok((Found::Json(value.clone()), Some(file.place(&path))));
            }
        }
        Ok((Found::Nothing, None))
    }

    /// The field with those around it.
    fn name(&self, field: &Field) -> String {
        let path: Vec<&str> = self.path.iter().copied().chain([field.key]).collect();
        path.join(".")
    }

    fn missing(&self, field: &'static Field) -> ConfigProblem {
        let name = self.name(field);
        let config = self.config;
        let text =
            format!("`{name}` of `{}` is not set, and must be {}", config.name, expected(field));
        let mut ways = Vec::new();
        if let Some(variable) = field.variable.name(&self.prefix, field.key) {
            ways.push(format!("the variable `{variable}`"));
        }
        let section = config.section.map(|section| format!("{section}.")).unwrap_or_default();
        ways.push(format!("`{section}{name}` in the configuration file"));
        if let Some(id) = config.id {
            ways.push(format!("`{name}` in the configuration `{id}` of the engine's store"));
        }
        let help =
            format!("set {}; in a test, `iii.config({} {{ … }})`", ways.join(", or "), config.name);
        let problem = ConfigProblem::new(config, &name, text).help(help);
        ConfigProblem { missing: true, ..problem }
    }

    fn misfit(
        &self,
        field: &'static Field,
        shown: &str,
        why: Option<&str>,
        source: String,
    ) -> ConfigProblem {
        let name = self.name(field);
        let what = format!("`{name}` of `{}`", self.config.name);
        let wanted = expected(field);
        // What a value of several parts lacks, only its type can say; and its message may show the value.
        let why = why.filter(|_| {
            !field.secret && matches!(wanted.as_str(), "a list" | "an object" | "a value that fits")
        });
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        let text = if field.secret {
            format!("{what} is secret, so its value is not shown, and must be {wanted}")
        } else {
            format!("{what} is {shown}, and must be {wanted}{why}")
        };
        ConfigProblem::new(self.config, &name, text).from(source)
    }
}

/// The value at a path of keys; null counts as none.
fn at<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    let found = path.iter().try_fold(value, |value, key| value.get(key))?;
    Some(found).filter(|found| !found.is_null())
}

/// A value in a message.
fn shown(found: &Found) -> String {
    let text = match found {
        Found::Nothing => return "nothing".to_owned(),
        Found::Text(text) => text.clone(),
        Found::Json(value) => value.to_string(),
    };
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}

/// Checks the defaults of a configuration, which need no source.
///
/// # Errors
///
/// All problems, but not those of fields without a default.
pub(super) fn check_defaults(
    configs: impl Iterator<Item = &'static ConfigDescriptor>,
) -> Vec<ConfigProblem> {
    let mut problems = Vec::new();
    for config in configs {
        bounds(config, config.fields, &mut Vec::new(), &mut problems);
    }
    problems
}

/// Defaults that are out of their own bounds.
fn bounds(
    config: &'static ConfigDescriptor,
    fields: &'static [Field],
    path: &mut Vec<&'static str>,
    problems: &mut Vec<ConfigProblem>,
) {
    for field in fields {
        path.push(field.key);
        match field.content {
            Content::Nested { fields, .. } => bounds(config, fields, path, problems),
            Content::Value { default, min, max, .. } => {
                let default = default.and_then(|default| default());
                if let Some(value) = default
                    && !is_within(&Found::Json(value.clone()), min, max)
                {
                    let name = path.join(".");
                    let shown =
                        if field.secret { String::new() } else { format!(" is `{value}`, and") };
                    let text = format!(
                        "the default of `{name}` of `{}`{shown} must be {}",
                        config.name,
                        expected(field)
                    );
                    problems.push(ConfigProblem::new(config, &name, text));
                }
            }
        }
        path.pop();
    }
}

/// Whether a field of a type may be left out without a default.
pub(crate) fn fits_nothing<T: DeserializeOwned>() -> bool {
    Found::Nothing.parse::<T>().is_ok()
}

/// Reads what is there already, behind an [`Arc`].
pub(super) fn shared<T: Configurable>(sources: &Sources) -> Result<Arc<T>, Vec<ConfigProblem>> {
    whole(sources).map(Arc::new)
}

//! A YAML file as a tree of nodes with line numbers, and sections that are read key by key.

use std::fmt;
use std::ops::RangeInclusive;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// A value and its line, counted from 1.
#[derive(Debug)]
pub(super) struct YamlNode {
    pub(super) line: u64,
    pub(super) value: YamlValue,
}

/// A YAML value.
#[derive(Debug)]
pub(super) enum YamlValue {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    String(String),
    List(Vec<YamlNode>),
    Map(Vec<(YamlKey, YamlNode)>),
}

/// A key and its line.
#[derive(Debug)]
pub(super) struct YamlKey {
    pub(super) line: u64,
    pub(super) name: String,
}

/// The errors of a file, by line.
#[derive(Debug, Default)]
pub(super) struct Problems(pub(super) Vec<(u64, String)>);

impl Problems {
    /// Adds an error.
    pub(super) fn add(&mut self, line: u64, text: impl Into<String>) {
        self.0.push((line, text.into()));
    }
}

/// Parses YAML.
///
/// # Errors
///
/// The first syntax error, with its line.
pub(super) fn parse(text: &str) -> Result<YamlNode, (u64, String)> {
    serde_saphyr::from_str::<YamlNode>(text).map_err(|error| {
        let line = error.location().map_or(0, |location| location.line());
        let text = error.without_snippet().to_string();
        (line, text.lines().next().unwrap_or("invalid YAML").to_owned())
    })
}

impl<'de> Deserialize<'de> for YamlNode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<YamlValue>::deserialize(deserializer)?;
        Ok(Self { line: spanned.referenced.line(), value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for YamlKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<String>::deserialize(deserializer)?;
        Ok(Self { line: spanned.referenced.line(), name: spanned.value })
    }
}

impl<'de> Deserialize<'de> for YamlValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(YamlVisitor)
    }
}

struct YamlVisitor;

impl<'de> Visitor<'de> for YamlVisitor {
    type Value = YamlValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<YamlValue, E> {
        Ok(YamlValue::Null)
    }

    fn visit_none<E>(self) -> Result<YamlValue, E> {
        Ok(YamlValue::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<YamlValue, D::Error> {
        YamlValue::deserialize(deserializer)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<YamlValue, E> {
        Ok(YamlValue::Bool(flag))
    }

    fn visit_i64<E>(self, whole: i64) -> Result<YamlValue, E> {
        Ok(YamlValue::Integer(whole.into()))
    }

    fn visit_u64<E>(self, whole: u64) -> Result<YamlValue, E> {
        Ok(YamlValue::Integer(whole.into()))
    }

    fn visit_i128<E>(self, whole: i128) -> Result<YamlValue, E> {
        Ok(YamlValue::Integer(whole))
    }

    fn visit_f64<E>(self, real: f64) -> Result<YamlValue, E> {
        Ok(YamlValue::Float(real))
    }

    fn visit_str<E>(self, text: &str) -> Result<YamlValue, E> {
        Ok(YamlValue::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<YamlValue, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = access.next_element()? {
            list.push(element);
        }
        Ok(YamlValue::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<YamlValue, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(YamlValue::Map(entries))
    }
}

impl YamlNode {
    /// Converts the node to JSON; `None` if a number is out of range.
    pub(super) fn to_json(&self) -> Option<serde_json::Value> {
        use serde_json::{Number, Value as Json};
        Some(match &self.value {
            YamlValue::Null => Json::Null,
            YamlValue::Bool(flag) => Json::Bool(*flag),
            YamlValue::Integer(whole) => Json::Number(Number::from_i128(*whole)?),
            YamlValue::Float(real) => Json::Number(Number::from_f64(*real)?),
            YamlValue::String(text) => Json::String(text.clone()),
            YamlValue::List(list) => {
                Json::Array(list.iter().map(Self::to_json).collect::<Option<_>>()?)
            }
            YamlValue::Map(entries) => {
                let entries =
                    entries.iter().map(|(key, node)| Some((key.name.clone(), node.to_json()?)));
                Json::Object(entries.collect::<Option<_>>()?)
            }
        })
    }

    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            YamlValue::Null => "null",
            YamlValue::Bool(_) => "a boolean",
            YamlValue::Integer(_) => "an integer",
            YamlValue::Float(_) => "a number with a fraction",
            YamlValue::String(_) => "a string",
            YamlValue::List(_) => "a list",
            YamlValue::Map(_) => "a section",
        }
    }
}

/// A section whose keys are each read once; remaining keys are errors.
pub(super) struct Section<'a> {
    /// The name of the section in messages.
    label: String,
    line: u64,
    entries: &'a [(YamlKey, YamlNode)],
    read_keys: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// Creates the section of a node; null is an empty section. Any other value is an error, and read as an empty
    /// section.
    pub(super) fn new(
        label: impl Into<String>,
        node: &'a YamlNode,
        problems: &mut Problems,
    ) -> Self {
        let label = label.into();
        let entries: &[_] = match &node.value {
            YamlValue::Map(entries) => entries,
            YamlValue::Null => &[],
            _ => {
                let kind = node.kind();
                problems.add(node.line, format!("{label} must be a section, not {kind}"));
                &[]
            }
        };
        Self { label, line: node.line, entries, read_keys: Vec::new() }
    }

    /// Returns the line of the section.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Returns the line of a key, or the line of the section if it is absent.
    pub(super) fn line_of(&self, key: &str) -> u64 {
        let found = self.entries.iter().find(|(found, _)| found.name == key);
        found.map_or(self.line, |(key, _)| key.line)
    }

    /// Marks a key as known and returns its value; null is treated as absent.
    pub(super) fn take(&mut self, key: &'static str) -> Option<&'a YamlNode> {
        self.read_keys.push(key);
        let (_, node) = self.entries.iter().find(|(found, _)| found.name == key)?;
        Some(node).filter(|node| !matches!(node.value, YamlValue::Null))
    }

    /// Rejects a key with the value null, for keys whose absence lifts a restriction.
    pub(super) fn require_value(&mut self, key: &'static str, problems: &mut Problems) {
        let blank = |(found, node): &&(YamlKey, YamlNode)| {
            found.name == key && matches!(node.value, YamlValue::Null)
        };
        if let Some((found, _)) = self.entries.iter().find(blank) {
            let text = format!("`{key}` of {} has no value: set it, or remove the key", self.label);
            problems.add(found.line, text);
        }
    }

    /// Returns all entries.
    pub(super) fn entries(&self) -> &'a [(YamlKey, YamlNode)] {
        self.entries
    }

    fn wrong_type(&self, key: &str, node: &YamlNode, expected: &str, problems: &mut Problems) {
        let text = format!("`{key}` of {} must be {expected}, not {}", self.label, node.kind());
        problems.add(node.line, text);
    }

    /// Reads a string.
    pub(super) fn string(&mut self, key: &'static str, problems: &mut Problems) -> Option<&'a str> {
        let node = self.take(key)?;
        match &node.value {
            YamlValue::String(text) if !text.trim().is_empty() => Some(text),
            YamlValue::String(_) => {
                problems.add(node.line, format!("`{key}` of {} must not be blank", self.label));
                None
            }
            _ => {
                self.wrong_type(key, node, "a string", problems);
                None
            }
        }
    }

    /// Reads a boolean.
    pub(super) fn boolean(&mut self, key: &'static str, problems: &mut Problems) -> Option<bool> {
        let node = self.take(key)?;
        if let YamlValue::Bool(flag) = node.value {
            return Some(flag);
        }
        self.wrong_type(key, node, "true or false", problems);
        None
    }

    /// Reads an integer within a range.
    pub(super) fn unsigned(
        &mut self,
        key: &'static str,
        bounds: RangeInclusive<u64>,
        problems: &mut Problems,
    ) -> Option<u64> {
        let node = self.take(key)?;
        let (low, high) = (bounds.start(), bounds.end());
        let expected = match *high {
            u64::MAX => format!("an integer of at least {low}"),
            _ => format!("an integer from {low} to {high}"),
        };
        match node.value {
            YamlValue::Integer(whole) => match u64::try_from(whole) {
                Ok(whole) if bounds.contains(&whole) => return Some(whole),
                _ => {
                    let text =
                        format!("`{key}` of {} is {whole}, but must be {expected}", self.label);
                    problems.add(node.line, text);
                }
            },
            _ => self.wrong_type(key, node, &expected, problems),
        }
        None
    }

    /// Reads a signed integer.
    pub(super) fn integer(&mut self, key: &'static str, problems: &mut Problems) -> Option<i64> {
        let node = self.take(key)?;
        match node.value {
            YamlValue::Integer(whole) if i64::try_from(whole).is_ok() => i64::try_from(whole).ok(),
            _ => {
                self.wrong_type(key, node, "an integer", problems);
                None
            }
        }
    }

    /// Reads a number.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn number(&mut self, key: &'static str, problems: &mut Problems) -> Option<f64> {
        let node = self.take(key)?;
        match node.value {
            YamlValue::Integer(whole) => Some(whole as f64),
            YamlValue::Float(real) if real.is_finite() => Some(real),
            _ => {
                self.wrong_type(key, node, "a number", problems);
                None
            }
        }
    }

    /// Reads a ratio from 0 to 1.
    pub(super) fn ratio(&mut self, key: &'static str, problems: &mut Problems) -> Option<f64> {
        let ratio = self.number(key, problems)?;
        if (0.0..=1.0).contains(&ratio) {
            return Some(ratio);
        }
        let text = format!("`{key}` of {} is {ratio}, but must be from 0 to 1", self.label);
        problems.add(self.line, text);
        None
    }

    /// Reads a list.
    pub(super) fn list(&mut self, key: &'static str, problems: &mut Problems) -> &'a [YamlNode] {
        let Some(node) = self.take(key) else { return &[] };
        if let YamlValue::List(list) = &node.value {
            return list;
        }
        self.wrong_type(key, node, "a list", problems);
        &[]
    }

    /// Reads a list of sections, which messages call `label`.
    pub(super) fn sections(
        &mut self,
        key: &'static str,
        label: &str,
        problems: &mut Problems,
    ) -> Vec<Section<'a>> {
        let list = self.list(key, problems).iter();
        list.map(|node| Section::new(label, node, problems)).collect()
    }

    /// Reads a list of strings.
    pub(super) fn strings(&mut self, key: &'static str, problems: &mut Problems) -> Vec<String> {
        let Some(node) = self.take(key) else { return Vec::new() };
        let YamlValue::List(list) = &node.value else {
            self.wrong_type(key, node, "a list of strings", problems);
            return Vec::new();
        };
        let mut strings = Vec::new();
        for node in list {
            match &node.value {
                YamlValue::String(text) => strings.push(text.clone()),
                _ => self.wrong_type(key, node, "a list of strings", problems),
            }
        }
        strings
    }

    /// Rejects a key that only the official engine supports. An empty list or section is accepted.
    pub(super) fn reject_unsupported(&mut self, key: &'static str, problems: &mut Problems) {
        let Some(node) = self.take(key) else { return };
        let empty = match &node.value {
            YamlValue::List(list) => list.is_empty(),
            YamlValue::Map(entries) => entries.is_empty(),
            _ => false,
        };
        if !empty {
            problems.add(
                node.line,
                format!(
                    "`{key}` of {} is not supported by this engine: use the official engine",
                    self.label
                ),
            );
        }
    }

    /// Marks keys as known without reading them.
    pub(super) fn ignore(&mut self, keys: &[&'static str]) {
        self.read_keys.extend(keys);
    }

    /// Reports every key that was not read.
    pub(super) fn finish(self, problems: &mut Problems) {
        for (key, _) in self.entries {
            if !self.read_keys.contains(&key.name.as_str()) {
                let known = match self.read_keys.join("`, `") {
                    known if known.is_empty() => "it has none".to_owned(),
                    known => format!("its settings are `{known}`"),
                };
                let text = format!("{} has no setting `{}`; {known}", self.label, key.name);
                problems.add(key.line, text);
            }
        }
    }
}

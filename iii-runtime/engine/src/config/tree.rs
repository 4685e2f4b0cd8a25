//! A YAML file as a tree of nodes with line numbers, and sections that are read key by key.

use std::fmt;
use std::ops::RangeInclusive;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// A value and its line, counted from 1.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) line: u64,
    pub(super) value: Value,
}

/// A YAML value.
#[derive(Debug)]
pub(super) enum Value {
    Null,
    Flag(bool),
    Whole(i128),
    Real(f64),
    Text(String),
    List(Vec<Node>),
    Block(Vec<(Key, Node)>),
}

/// A key and its line.
#[derive(Debug)]
pub(super) struct Key {
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
pub(super) fn parse(text: &str) -> Result<Node, (u64, String)> {
    serde_saphyr::from_str::<Node>(text).map_err(|error| {
        let line = error.location().map_or(0, |location| location.line());
        let text = error.without_snippet().to_string();
        (line, text.lines().next().unwrap_or("invalid YAML").to_owned())
    })
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { line: spanned.referenced.line(), value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<String>::deserialize(deserializer)?;
        Ok(Self { line: spanned.referenced.line(), name: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Flag(flag))
    }

    fn visit_i64<E>(self, whole: i64) -> Result<Value, E> {
        Ok(Value::Whole(whole.into()))
    }

    fn visit_u64<E>(self, whole: u64) -> Result<Value, E> {
        Ok(Value::Whole(whole.into()))
    }

    fn visit_i128<E>(self, whole: i128) -> Result<Value, E> {
        Ok(Value::Whole(whole))
    }

    fn visit_f64<E>(self, real: f64) -> Result<Value, E> {
        Ok(Value::Real(real))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(one) = access.next_element()? {
            list.push(one);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Value::Block(entries))
    }
}

impl Node {
    /// Converts the node to JSON; `None` if a number is out of range.
    pub(super) fn to_json(&self) -> Option<serde_json::Value> {
        use serde_json::{Number, Value as Json};
        Some(match &self.value {
            Value::Null => Json::Null,
            Value::Flag(flag) => Json::Bool(*flag),
            Value::Whole(whole) => Json::Number(Number::from_i128(*whole)?),
            Value::Real(real) => Json::Number(Number::from_f64(*real)?),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(list) => {
                Json::Array(list.iter().map(Self::to_json).collect::<Option<_>>()?)
            }
            Value::Block(entries) => {
                let entries =
                    entries.iter().map(|(key, node)| Some((key.name.clone(), node.to_json()?)));
                Json::Object(entries.collect::<Option<_>>()?)
            }
        })
    }

    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Flag(_) => "a boolean",
            Value::Whole(_) => "an integer",
            Value::Real(_) => "a number with a fraction",
            Value::Text(_) => "a string",
            Value::List(_) => "a list",
            Value::Block(_) => "a section",
        }
    }
}

/// A section whose keys are each read once; remaining keys are errors.
pub(super) struct Block<'a> {
    /// The name of the section in messages.
    what: String,
    line: u64,
    entries: &'a [(Key, Node)],
    known: Vec<&'static str>,
}

impl<'a> Block<'a> {
    /// Creates the section of a node; null is an empty section. Any other value is an error, and read as an empty
    /// section.
    pub(super) fn new(what: impl Into<String>, node: &'a Node, problems: &mut Problems) -> Self {
        let what = what.into();
        let entries: &[_] = match &node.value {
            Value::Block(entries) => entries,
            Value::Null => &[],
            _ => {
                let kind = node.kind();
                problems.add(node.line, format!("{what} must be a section, not {kind}"));
                &[]
            }
        };
        Self { what, line: node.line, entries, known: Vec::new() }
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
    pub(super) fn take(&mut self, key: &'static str) -> Option<&'a Node> {
        self.known.push(key);
        let (_, node) = self.entries.iter().find(|(found, _)| found.name == key)?;
        Some(node).filter(|node| !matches!(node.value, Value::Null))
    }

    /// Rejects a key with the value null, for keys whose absence lifts a restriction.
    pub(super) fn not_blank(&mut self, key: &'static str, problems: &mut Problems) {
        let blank =
            |(found, node): &&(Key, Node)| found.name == key && matches!(node.value, Value::Null);
        if let Some((found, _)) = self.entries.iter().find(blank) {
            let text =
                format!("`{key}` of {} has no value: set it, or remove the key", self.what);
            problems.add(found.line, text);
        }
    }

    /// Returns all entries.
    pub(super) fn all(&self) -> &'a [(Key, Node)] {
        self.entries
    }

    fn misfit(&self, key: &str, node: &Node, expected: &str, problems: &mut Problems) {
        let text = format!("`{key}` of {} must be {expected}, not {}", self.what, node.kind());
        problems.add(node.line, text);
    }

    /// Reads a string.
    pub(super) fn text(&mut self, key: &'static str, problems: &mut Problems) -> Option<&'a str> {
        let node = self.take(key)?;
        match &node.value {
            Value::Text(text) if !text.trim().is_empty() => Some(text),
            Value::Text(_) => {
                problems.add(node.line, format!("`{key}` of {} must not be blank", self.what));
                None
            }
            _ => {
                self.misfit(key, node, "a string", problems);
                None
            }
        }
    }

    /// Reads a boolean.
    pub(super) fn flag(&mut self, key: &'static str, problems: &mut Problems) -> Option<bool> {
        let node = self.take(key)?;
        if let Value::Flag(flag) = node.value {
            return Some(flag);
        }
        self.misfit(key, node, "true or false", problems);
        None
    }

    /// Reads an integer within a range.
    pub(super) fn whole(
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
            Value::Whole(whole) => match u64::try_from(whole) {
                Ok(whole) if bounds.contains(&whole) => return Some(whole),
                _ => {
                    let text =
                        format!("`{key}` of {} is {whole}, but must be {expected}", self.what);
                    problems.add(node.line, text);
                }
            },
            _ => self.misfit(key, node, &expected, problems),
        }
        None
    }

    /// Reads a signed integer.
    pub(super) fn integer(&mut self, key: &'static str, problems: &mut Problems) -> Option<i64> {
        let node = self.take(key)?;
        match node.value {
            Value::Whole(whole) if i64::try_from(whole).is_ok() => i64::try_from(whole).ok(),
            _ => {
                self.misfit(key, node, "an integer", problems);
                None
            }
        }
    }

    /// Reads a number.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn number(&mut self, key: &'static str, problems: &mut Problems) -> Option<f64> {
        let node = self.take(key)?;
        match node.value {
            Value::Whole(whole) => Some(whole as f64),
            Value::Real(real) if real.is_finite() => Some(real),
            _ => {
                self.misfit(key, node, "a number", problems);
                None
            }
        }
    }

    /// Reads a ratio from 0 to 1.
    pub(super) fn share(&mut self, key: &'static str, problems: &mut Problems) -> Option<f64> {
        let share = self.number(key, problems)?;
        if (0.0..=1.0).contains(&share) {
            return Some(share);
        }
        let text = format!("`{key}` of {} is {share}, but must be from 0 to 1", self.what);
        problems.add(self.line, text);
        None
    }

    /// Reads a list.
    pub(super) fn list(&mut self, key: &'static str, problems: &mut Problems) -> &'a [Node] {
        let Some(node) = self.take(key) else { return &[] };
        if let Value::List(list) = &node.value {
            return list;
        }
        self.misfit(key, node, "a list", problems);
        &[]
    }

    /// Reads a list of sections, which messages call `what`.
    pub(super) fn blocks(
        &mut self,
        key: &'static str,
        what: &str,
        problems: &mut Problems,
    ) -> Vec<Block<'a>> {
        let list = self.list(key, problems).iter();
        list.map(|one| Block::new(what, one, problems)).collect()
    }

    /// Reads a list of strings.
    pub(super) fn texts(&mut self, key: &'static str, problems: &mut Problems) -> Vec<String> {
        let Some(node) = self.take(key) else { return Vec::new() };
        let Value::List(list) = &node.value else {
            self.misfit(key, node, "a list of strings", problems);
            return Vec::new();
        };
        let mut texts = Vec::new();
        for one in list {
            match &one.value {
                Value::Text(text) => texts.push(text.clone()),
                _ => self.misfit(key, one, "a list of strings", problems),
            }
        }
        texts
    }

    /// Rejects a key that only the official engine supports. An empty list or section is accepted.
    pub(super) fn refuse(&mut self, key: &'static str, problems: &mut Problems) {
        let Some(node) = self.take(key) else { return };
        let empty = match &node.value {
            Value::List(list) => list.is_empty(),
            Value::Block(entries) => entries.is_empty(),
            _ => false,
        };
        if !empty {
            problems.add(
                node.line,
                format!(
                    "`{key}` of {} is not supported by this engine: use the official engine",
                    self.what
                ),
            );
        }
    }

    /// Marks keys as known without reading them.
    pub(super) fn ignore(&mut self, keys: &[&'static str]) {
        self.known.extend(keys);
    }

    /// Reports every key that was not read.
    pub(super) fn finish(self, problems: &mut Problems) {
        for (key, _) in self.entries {
            if !self.known.contains(&key.name.as_str()) {
                let known = match self.known.join("`, `") {
                    known if known.is_empty() => "none".to_owned(),
                    known => format!("`{known}`"),
                };
                problems.add(
                    key.line,
                    format!("{} has no setting `{}`; its settings are {known}", self.what, key.name),
                );
            }
        }
    }
}

//! A YAML file as a tree whose nodes know their lines, and blocks of it that are read key by key.

use std::fmt;
use std::ops::RangeInclusive;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// A value, and the line on which it begins, counted from 1.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) line: u64,
    pub(super) value: Value,
}

/// What a node is.
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

/// The name of an entry, and its line.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) line: u64,
    pub(super) name: String,
}

/// What is wrong with a file, by line.
#[derive(Debug, Default)]
pub(super) struct Problems(pub(super) Vec<(u64, String)>);

impl Problems {
    /// Notes a problem.
    pub(super) fn add(&mut self, line: u64, text: impl Into<String>) {
        self.0.push((line, text.into()));
    }
}

/// Reads a text.
///
/// # Errors
///
/// What is wrong, and the line.
pub(super) fn parse(text: &str) -> Result<Node, (u64, String)> {
    serde_saphyr::from_str::<Node>(text).map_err(|error| {
        let line = error.location().map_or(0, |location| location.line());
        let text = error.without_snippet().to_string();
        (line, text.lines().next().unwrap_or("this is not YAML").to_owned())
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
    /// The node as JSON; `None` if it has a number that is too large for that.
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
            Value::Flag(_) => "true or false",
            Value::Whole(_) => "a whole number",
            Value::Real(_) => "a number with a fraction",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Block(_) => "a block of settings",
        }
    }
}

/// A block of which each key is taken once; what is left at the end is unknown.
pub(super) struct Block<'a> {
    /// Whose block it is, for messages.
    what: String,
    line: u64,
    entries: &'a [(Key, Node)],
    known: Vec<&'static str>,
}

impl<'a> Block<'a> {
    /// The block of a node; nothing counts as an empty one. Anything else is a problem, and then an empty block.
    pub(super) fn new(what: impl Into<String>, node: &'a Node, problems: &mut Problems) -> Self {
        let what = what.into();
        let entries: &[_] = match &node.value {
            Value::Block(entries) => entries,
            Value::Null => &[],
            _ => {
                let kind = node.kind();
                problems.add(node.line, format!("{what} must be a block of settings, not {kind}"));
                &[]
            }
        };
        Self { what, line: node.line, entries, known: Vec::new() }
    }

    /// The line on which it begins.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// The line of the entry of a key; without one, that of the block.
    pub(super) fn line_of(&self, key: &str) -> u64 {
        let found = self.entries.iter().find(|(found, _)| found.name == key);
        found.map_or(self.line, |(key, _)| key.line)
    }

    /// The entry of a key, which is known from now on; nothing counts as absent.
    pub(super) fn take(&mut self, key: &'static str) -> Option<&'a Node> {
        self.known.push(key);
        let (_, node) = self.entries.iter().find(|(found, _)| found.name == key)?;
        Some(node).filter(|node| !matches!(node.value, Value::Null))
    }

    /// Refuses a key without a value, where nothing and absent are easily mixed up, and absent means that all may.
    pub(super) fn not_blank(&mut self, key: &'static str, problems: &mut Problems) {
        let blank =
            |(found, node): &&(Key, Node)| found.name == key && matches!(node.value, Value::Null);
        if let Some((found, _)) = self.entries.iter().find(blank) {
            let text =
                format!("`{key}` of {} has no value: give it one, or leave it out", self.what);
            problems.add(found.line, text);
        }
    }

    /// All entries, whatever their keys are.
    pub(super) fn all(&self) -> &'a [(Key, Node)] {
        self.entries
    }

    fn misfit(&self, key: &str, node: &Node, expected: &str, problems: &mut Problems) {
        let text = format!("`{key}` of {} must be {expected}, not {}", self.what, node.kind());
        problems.add(node.line, text);
    }

    /// A text.
    pub(super) fn text(&mut self, key: &'static str, problems: &mut Problems) -> Option<&'a str> {
        let node = self.take(key)?;
        match &node.value {
            Value::Text(text) if !text.trim().is_empty() => Some(text),
            Value::Text(_) => {
                problems.add(node.line, format!("`{key}` of {} is blank", self.what));
                None
            }
            _ => {
                self.misfit(key, node, "a text", problems);
                None
            }
        }
    }

    /// True or false.
    pub(super) fn flag(&mut self, key: &'static str, problems: &mut Problems) -> Option<bool> {
        let node = self.take(key)?;
        if let Value::Flag(flag) = node.value {
            return Some(flag);
        }
        self.misfit(key, node, "true or false", problems);
        None
    }

    /// A whole number within bounds.
    pub(super) fn whole(
        &mut self,
        key: &'static str,
        bounds: RangeInclusive<u64>,
        problems: &mut Problems,
    ) -> Option<u64> {
        let node = self.take(key)?;
        let (low, high) = (bounds.start(), bounds.end());
        let expected = match *high {
            u64::MAX => format!("a whole number from {low} on"),
            _ => format!("a whole number from {low} to {high}"),
        };
        match node.value {
            Value::Whole(whole) => match u64::try_from(whole) {
                Ok(whole) if bounds.contains(&whole) => return Some(whole),
                _ => {
                    let text =
                        format!("`{key}` of {} is {whole}, and must be {expected}", self.what);
                    problems.add(node.line, text);
                }
            },
            _ => self.misfit(key, node, &expected, problems),
        }
        None
    }

    /// A whole number, which may be below zero.
    pub(super) fn integer(&mut self, key: &'static str, problems: &mut Problems) -> Option<i64> {
        let node = self.take(key)?;
        match node.value {
            Value::Whole(whole) if i64::try_from(whole).is_ok() => i64::try_from(whole).ok(),
            _ => {
                self.misfit(key, node, "a whole number", problems);
                None
            }
        }
    }

    /// A number, with a fraction or without.
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

    /// A share: a number from 0 to 1.
    pub(super) fn share(&mut self, key: &'static str, problems: &mut Problems) -> Option<f64> {
        let share = self.number(key, problems)?;
        if (0.0..=1.0).contains(&share) {
            return Some(share);
        }
        let text = format!("`{key}` of {} is {share}, and must be from 0 to 1", self.what);
        problems.add(self.line, text);
        None
    }

    /// A list.
    pub(super) fn list(&mut self, key: &'static str, problems: &mut Problems) -> &'a [Node] {
        let Some(node) = self.take(key) else { return &[] };
        if let Value::List(list) = &node.value {
            return list;
        }
        self.misfit(key, node, "a list", problems);
        &[]
    }

    /// The blocks of a list, each with what it is called in messages.
    pub(super) fn blocks(
        &mut self,
        key: &'static str,
        what: &str,
        problems: &mut Problems,
    ) -> Vec<Block<'a>> {
        let list = self.list(key, problems).iter();
        list.map(|one| Block::new(what, one, problems)).collect()
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, key: &'static str, problems: &mut Problems) -> Vec<String> {
        let Some(node) = self.take(key) else { return Vec::new() };
        let Value::List(list) = &node.value else {
            self.misfit(key, node, "a list of texts", problems);
            return Vec::new();
        };
        let mut texts = Vec::new();
        for one in list {
            match &one.value {
                Value::Text(text) => texts.push(text.clone()),
                _ => self.misfit(key, one, "a list of texts", problems),
            }
        }
        texts
    }

    /// Refuses a key that the official engine knows and this one does not. An empty list or block asks for nothing.
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
                    "`{key}` of {} is not supported by this engine: use the official engine for it",
                    self.what
                ),
            );
        }
    }

    /// Takes keys that mean nothing here, whatever their values are.
    pub(super) fn ignore(&mut self, keys: &[&'static str]) {
        self.known.extend(keys);
    }

    /// Ends the reading: every key that was not taken is a problem.
    pub(super) fn finish(self, problems: &mut Problems) {
        for (key, _) in self.entries {
            if !self.known.contains(&key.name.as_str()) {
                let known = match self.known.join("`, `") {
                    known if known.is_empty() => "nothing".to_owned(),
                    known => format!("`{known}`"),
                };
                problems.add(
                    key.line,
                    format!("{} has no setting `{}`: it has {known}", self.what, key.name),
                );
            }
        }
    }
}

//! What is wrong with a configuration: all of it in one report, and never a secret in it.

use std::fmt::Write as _;

use serde::Serialize;

use super::describe::{ConfigDescriptor, Content, Field};
use crate::function::Location;
use iii_wire::{Error, code};

/// One problem of a configuration. The details of an `invalid_configuration` error are a list of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct ConfigProblem {
    /// The type of the configuration; absent if it is about the whole file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// The field, with the fields it is in: `mail.port`; absent if it is about more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Where the value comes from; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What is wrong, and what is expected. It shows no secret.
    pub message: String,
    /// What to do; absent if the message says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Where the configuration is declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared_at: Option<String>,
    /// Whether a value is missing, which another source may still bring.
    #[serde(skip)]
    pub(super) missing: bool,
}

impl ConfigProblem {
    pub(super) fn new(config: &ConfigDescriptor, field: &str, message: String) -> Self {
        Self {
            config: Some(config.name.to_owned()),
            field: Some(field.to_owned()).filter(|field| !field.is_empty()),
            source: None,
            message,
            help: None,
            declared_at: Some(config.location.to_string()),
            missing: false,
        }
    }

    /// A problem of the whole file.
    pub(super) fn of_file(message: String) -> Self {
        Self {
            config: None,
            field: None,
            source: None,
            message,
            help: None,
            declared_at: None,
            missing: false,
        }
    }

    /// A key that nobody reads.
    pub(super) fn unknown(
        config: Option<&ConfigDescriptor>,
        key: &str,
        known: &[&str],
        place: &str,
    ) -> Self {
        let mut known = known.to_vec();
        known.sort_unstable();
        known.dedup();
        let help = match nearest(key, &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "remove it".to_owned(),
            None => {
                let known: Vec<String> = known.iter().map(|key| format!("`{key}`")).collect();
                format!("remove it; what is read is {}", known.join(", "))
            }
        };
        let message = match config {
            Some(config) => format!("`{}` has no field `{key}`", config.name),
            None => format!("no configuration reads `{key}`"),
        };
        Self {
            config: config.map(|config| config.name.to_owned()),
            field: None,
            source: Some(place.to_owned()),
            help: Some(help),
            declared_at: config.map(|config| config.location.to_string()),
            ..Self::of_file(message)
        }
    }

    /// An answer of the engine's store that is no value.
    pub(super) fn of_store(config: &ConfigDescriptor, error: &Error) -> Self {
        let id = config.id.unwrap_or_default();
        // Some engines show the value in the message.
        let why = match has_secrets(config.fields) {
            true => error.code().to_owned(),
            false => error.to_string(),
        };
        let message = format!("the engine cannot give the configuration `{id}`: {why}");
        Self {
            source: Some(format!("the configuration `{id}` of the engine's store")),
            help: Some(format!(
                "set a value that fits: call `configuration::set` with the id `{id}`"
            )),
            ..Self::new(config, "", message)
        }
    }

    #[must_use]
    pub(super) fn from(mut self, source: String) -> Self {
        self.source = Some(source);
        self
    }

    /// Adds what to do.
    #[must_use]
    pub(super) fn help(mut self, help: String) -> Self {
        self.help = Some(help);
        self
    }
}

/// All problems as one error.
pub(crate) fn report(problems: &[ConfigProblem]) -> Error {
    report_with(problems, &[])
}

/// As [`report`], with the functions that need the configurations.
pub(crate) fn report_with(problems: &[ConfigProblem], used: &[(&str, Location)]) -> Error {
    let mut all: Vec<&ConfigProblem> = Vec::new();
    for problem in problems {
        if !all.contains(&problem) {
            all.push(problem);
        }
    }
    let noun = if all.len() == 1 { "problem" } else { "problems" };
    let mut text = format!("the configuration of this worker has {} {noun}", all.len());
    for (number, problem) in all.iter().enumerate() {
        let _ = write!(text, "\n\n{}. {}", number + 1, problem.message);
        if let Some(source) = &problem.source {
            let _ = write!(text, "\n   from {source}");
        }
        if let Some(place) = &problem.declared_at {
            let _ = write!(text, "\n   declared at {place}");
        }
        for (_, place) in used.iter().filter(|(name, _)| problem.config.as_deref() == Some(name)) {
            let _ = write!(text, "\n   used at {place}");
        }
        if let Some(help) = &problem.help {
            let _ = write!(text, "\n   help: {help}");
        }
    }
    Error::new(code::INVALID_CONFIGURATION, text).with_details(&all)
}

/// Whether any field is secret.
fn has_secrets(fields: &[Field]) -> bool {
    fields.iter().any(|field| match field.content {
        Content::Nested { fields, .. } => has_secrets(fields),
        Content::Value { .. } => field.secret,
    })
}

/// The word that was probably meant.
fn nearest<'a>(written: &str, words: &[&'a str]) -> Option<&'a str> {
    let written = written.to_lowercase().replace('-', "_");
    // A third of the letters may be wrong; with more, the guess would only mislead.
    let limit = (written.chars().count() / 3).max(1);
    words
        .iter()
        .map(|word| (strsim::damerau_levenshtein(&written, word), *word))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

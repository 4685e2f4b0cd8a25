//! The differences that are meant, read from `DEVIATIONS.md`, and the judgement over those that occurred.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

/// A place where this engine does something else than the official one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// The number of the recording.
    pub recording: String,
    /// The line in it.
    pub line: usize,
    /// What differs, and what this engine has there: `status = 204`, `missing`, `extra …`, `order`.
    pub what: String,
}

impl Difference {
    /// A difference at a path inside a message; none where this engine has nothing.
    pub(crate) fn at(recording: &str, line: usize, path: &str, found: Option<&Value>) -> Self {
        let what = match found {
            Some(value) => format!("{path} = {value}"),
            None => format!("{path} absent"),
        };
        Self { recording: recording.to_owned(), line, what }
    }

    /// A difference of a whole step.
    pub(crate) fn whole(recording: &str, line: usize, what: impl Into<String>) -> Self {
        Self { recording: recording.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} {}", self.recording, self.line, self.what)
    }
}

/// The meant differences, with the key of the section that explains each.
#[derive(Debug, Default, Clone)]
pub struct Known {
    meant: BTreeMap<Difference, String>,
    /// Those that may occur and may not, because the engine promises neither.
    may: BTreeMap<Difference, String>,
    /// Those of all lines of a recording, whatever the value is: (recording, path), at least one must occur.
    everywhere: BTreeMap<(String, String), String>,
    /// Those that hold once the engine has a function: the function, the line of the block, the key.
    later: Vec<(String, String, String)>,
}

impl Known {
    /// Reads the blocks that begin with ```` ```differences ````, under headings of the form `## key`.
    ///
    /// A line is what [`Difference`] writes; `? ` before it: it may occur; `03:* path`: on any line, with
    /// any value; `**` at the end of the path: whatever is below. A block that begins with
    /// ```` ```differences when FUNCTION ```` holds once the engine has this function.
    ///
    /// # Panics
    ///
    /// If there is no such file, or a line is none of those that [`Difference`] writes, or is there twice.
    pub fn read(&mut self, path: &Path) {
        let text =
            std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        self.parse(&text);
    }

    fn parse(&mut self, text: &str) {
        let (mut key, mut block) = (String::new(), None);
        for line in text.lines() {
            match (block, line.strip_prefix("```differences")) {
                (None, Some(when)) => block = Some(when.trim().trim_start_matches("when ")),
                (Some(_), _) if line == "```" => block = None,
                (Some(""), _) => self.add(line, &key),
                (Some(function), _) => {
                    self.later.push((function.to_owned(), line.to_owned(), key.clone()));
                }
                (None, None) => {
                    if let Some(heading) = line.strip_prefix("## ") {
                        key = heading.to_owned();
                    }
                }
            }
        }
    }

    /// What is meant for an engine that lacks some functions.
    pub(crate) fn without(&self, lacking: &[&str]) -> Self {
        let mut known = Self { later: Vec::new(), ..self.clone() };
        for (function, line, key) in &self.later {
            if !lacking.contains(&function.as_str()) {
                known.add(line, key);
            }
        }
        known
    }

    fn add(&mut self, line: &str, key: &str) {
        if let Some((recording, path)) = line.split_once(":* ") {
            let place = (recording.to_owned(), path.to_owned());
            let twice = self.everywhere.insert(place, key.to_owned());
            return assert!(twice.is_none(), "a difference is there twice: {line}");
        }
        let (line, list) = match line.strip_prefix("? ") {
            Some(line) => (line, &mut self.may),
            None => (line, &mut self.meant),
        };
        let parsed = line.split_once(' ').and_then(|(place, what)| {
            let (recording, number) = place.split_once(':')?;
            Some(Difference::whole(recording, number.parse().ok()?, what))
        });
        let difference = parsed.unwrap_or_else(|| panic!("no difference: {line}"));
        let twice = list.insert(difference, key.to_owned());
        assert!(twice.is_none(), "a difference is there twice: {line}");
    }

    /// Whether a step is meant not to happen.
    pub(crate) fn is_missing(&self, recording: &str, line: usize) -> bool {
        self.meant.contains_key(&Difference::whole(recording, line, "missing"))
    }

    /// The functions that are meant to be called at a line though the recording has no call.
    pub(crate) fn extra_calls(&self, recording: &str, line: usize) -> Vec<String> {
        let meant = self.meant.keys().filter(|d| d.recording == recording && d.line == line);
        let calls = meant.filter_map(|d| d.what.strip_prefix("extra invokefunction "));
        calls.map(str::to_owned).collect()
    }

    /// Whether a difference is meant.
    fn is_meant(&self, difference: &Difference) -> bool {
        self.meant.contains_key(difference)
            || self.may.contains_key(difference)
            || self.everywhere.keys().any(|(recording, path)| {
                difference.recording == *recording && is_at(difference, path)
            })
    }

    /// The text that is meant to stand at a path instead of the recorded one.
    pub(crate) fn instead(&self, recording: &str, line: usize, path: &str) -> Option<String> {
        let prefix = format!("{path} = ");
        let meant = self.meant.keys().filter(|d| d.recording == recording && d.line == line);
        let found = meant.filter_map(|difference| difference.what.strip_prefix(&prefix)).next()?;
        serde_json::from_str(found).ok()
    }
}

/// Whether a difference is at a path, or below one that ends with `**`.
fn is_at(difference: &Difference, path: &str) -> bool {
    let at = difference.what.split(' ').next().unwrap_or_default();
    match path.strip_suffix("**") {
        Some(above) => at.starts_with(above),
        None => at == path,
    }
}

/// Compares what occurred in a recording with what is meant; the error names all that is too much or too little.
pub(crate) fn verdict(
    recording: &str,
    known: &Known,
    occurred: &[Difference],
) -> Result<(), String> {
    let mut report = String::new();
    for difference in occurred {
        if !known.is_meant(difference) {
            let _ = writeln!(report, "not meant:      {difference}");
        }
    }
    for (difference, key) in known.meant.iter().filter(|(d, _)| d.recording == recording) {
        if !occurred.contains(difference) {
            let _ = writeln!(report, "did not occur:  {difference}  ({key})");
        }
    }
    for ((_, path), key) in known.everywhere.iter().filter(|((name, _), _)| name == recording) {
        if !occurred.iter().any(|difference| is_at(difference, path)) {
            let _ = writeln!(report, "did not occur:  {recording}:* {path}  ({key})");
        }
    }
    match report.is_empty() {
        true => Ok(()),
        false => Err(report),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "## one\n\nText.\n\n```differences\n03:4 status = 204\n? 03:5 order\n03:* body.error**\n```\n\
                        ## two\n```differences when a::b\n03:6 missing\n```\n";

    fn judged(lacking: &[&str], occurred: &[(usize, &str)]) -> Result<(), String> {
        let mut known = Known::default();
        known.parse(PAGE);
        let occurred: Vec<Difference> =
            occurred.iter().map(|(line, what)| Difference::whole("03", *line, *what)).collect();
        verdict("03", &known.without(lacking), &occurred)
    }

    #[test]
    fn exactly_what_is_meant_must_occur() {
        let all = [(4, "status = 204"), (9, "body.error.code = 1"), (6, "missing")];
        assert_eq!(judged(&[], &all), Ok(()));
        assert_eq!(judged(&["a::b"], &all[..2]), Ok(()));
        assert_eq!(judged(&["a::b"], &[all[0], all[1], (5, "order")]), Ok(()));
        let report = judged(&[], &all[..2]).unwrap_err();
        assert!(report.contains("did not occur:  03:6 missing  (two)"), "{report}");
        let report = judged(&["a::b"], &all[1..]).unwrap_err();
        assert!(report.contains("not meant:      03:6 missing"), "{report}");
        assert!(report.contains("did not occur:  03:4 status = 204  (one)"), "{report}");
        let report = judged(&["a::b"], &all[..1]).unwrap_err();
        assert!(report.contains("03:* body.error**  (one)"), "{report}");
    }
}

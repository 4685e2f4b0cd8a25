//! The report of all problems of a catalogue, with source locations.

use std::fmt;

use crate::function::Location;
use iii_wire::{Error, code};

/// A problem of a catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueProblem {
    /// What is wrong.
    pub message: String,
    /// How to fix it.
    pub help: String,
    /// The locations of the declarations in question.
    pub locations: Vec<Location>,
}

/// All problems of a catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueProblems(pub(super) Vec<CatalogueProblem>);

impl CatalogueProblems {
    /// The problems.
    pub fn iter(&self) -> impl Iterator<Item = &CatalogueProblem> {
        self.0.iter()
    }

    /// Adds more problems to the result of an assembly.
    pub(crate) fn with<T>(
        assembled: Result<T, Self>,
        more: Vec<CatalogueProblem>,
    ) -> Result<T, Self> {
        match assembled {
            Ok(assembled) if more.is_empty() => Ok(assembled),
            Ok(_) => Err(Self(more)),
            Err(Self(mut problems)) => {
                problems.extend(more);
                Err(Self(problems))
            }
        }
    }
}

impl fmt::Display for CatalogueProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        write!(f, "the declarations of this worker have {count} {noun}")?;
        for (number, problem) in self.0.iter().enumerate() {
            write!(f, "\n\n{}. {}", number + 1, problem.message)?;
            for location in &problem.locations {
                write!(f, "\n   at {location}")?;
            }
            write!(f, "\n   help: {}", problem.help)?;
        }
        Ok(())
    }
}

impl std::error::Error for CatalogueProblems {}

impl From<CatalogueProblems> for Error {
    fn from(problems: CatalogueProblems) -> Self {
        Error::new(code::INVALID_CATALOGUE, problems.to_string())
    }
}

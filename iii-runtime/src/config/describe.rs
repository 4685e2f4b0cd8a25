//! What the derive writes down about a configuration: its place in each source, and its fields.

use schemars::{Schema, SchemaGenerator};
use serde_json::Value;

use crate::function::Location;

/// A declared configuration.
#[derive(Debug)]
pub struct ConfigDescriptor {
    /// Its id in the engine's configuration store; `None`: it is not there.
    pub id: Option<&'static str>,
    /// The object of the file that holds it; `None`: the file itself.
    pub section: Option<&'static str>,
    /// What the names of its variables begin with; may be empty.
    pub prefix: &'static str,
    /// Its name in the store, for people.
    pub title: &'static str,
    /// The name of its type.
    pub name: &'static str,
    /// What it is for: its doc comment.
    pub description: Option<&'static str>,
    /// Where it is declared.
    pub location: Location,
    /// Its fields.
    pub fields: &'static [Field],
}

/// A field of a configuration.
#[derive(Debug)]
pub struct Field {
    /// Its name in files and in the store.
    pub key: &'static str,
    /// What it is for: its doc comment.
    pub description: Option<&'static str>,
    /// The variable that sets it.
    pub variable: Variable,
    /// Whether its value is never shown.
    pub secret: bool,
    /// What it holds.
    pub content: Content,
}

/// The variable of a field. For nested fields: what the names of their variables begin with.
#[derive(Debug, Clone, Copy)]
pub enum Variable {
    /// Made of the prefix and the key, in capitals.
    Derived,
    /// This one.
    Named(&'static str),
    /// The environment does not set it.
    None,
}

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub enum Content {
    /// One value.
    Value {
        /// JSON Schema of its type.
        schema: fn(&mut SchemaGenerator) -> Schema,
        /// Whether nothing is a value, too.
        optional: fn() -> bool,
        /// The default as JSON; `Some(None)`: there is one, and it cannot be written as JSON.
        default: Option<fn() -> Option<Value>>,
        /// The least number or span of time.
        min: Option<&'static str>,
        /// The greatest number or span of time.
        max: Option<&'static str>,
    },
    /// Fields of its own.
    Nested {
        /// Its fields.
        fields: &'static [Field],
        /// Whether all of it may be left out.
        optional: bool,
    },
}

impl Variable {
    /// The name, below a prefix.
    pub(super) fn name(self, prefix: &str, key: &str) -> Option<String> {
        match self {
            Self::None => None,
            Self::Named(name) => Some(name.to_owned()),
            Self::Derived => {
                let key: String = key.chars().map(in_capitals).collect();
                Some(if prefix.is_empty() { key } else { format!("{prefix}_{key}") })
            }
        }
    }
}

fn in_capitals(character: char) -> char {
    if character.is_ascii_alphanumeric() { character.to_ascii_uppercase() } else { '_' }
}

/// What the macros put into the inventory.
#[derive(Debug, Clone, Copy)]
pub struct ConfigDeclaration(pub &'static ConfigDescriptor);

inventory::collect!(ConfigDeclaration);

/// The configurations that the macros have declared in all crates that are linked in.
pub(crate) fn declared() -> impl Iterator<Item = &'static ConfigDescriptor> {
    inventory::iter::<ConfigDeclaration>().map(|declaration| declaration.0)
}

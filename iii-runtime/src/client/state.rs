//! State by scope and key, with values of one type (protocol section 6.2).

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Call, Client};
use crate::update::{WriteResult, Update};

/// The state of one scope. Made by [`Client::state`].
///
/// A value that is `null` and a value that is missing look the same: both are `None`.
#[derive(Debug)]
pub struct StateClient<T> {
    client: Client,
    scope: String,
    values: PhantomData<fn() -> T>,
}

#[derive(Serialize)]
struct Place<'a> {
    scope: &'a str,
    key: &'a str,
}

impl<T> StateClient<T> {
    pub(super) fn new(client: Client, scope: String) -> Self {
        Self { client, scope, values: PhantomData }
    }

    /// The scope.
    pub fn scope(&self) -> &str {
        &self.scope
    }

    fn place<'a>(&'a self, key: &'a str) -> Place<'a> {
        Place { scope: &self.scope, key }
    }
}

impl<T: DeserializeOwned> StateClient<T> {
    /// Reads a value; `None` if there is none.
    pub fn get(&self, key: &str) -> Call<Option<T>> {
        self.client.builtin("state::get", &self.place(key))
    }

    /// Sets a value, whatever was there before. Those who listen hear of it, also if it is equal.
    pub fn set(&self, key: &str, value: &T) -> Call<WriteResult<T>>
    where
        T: Serialize,
    {
        #[derive(Serialize)]
        struct Set<'a, T> {
            #[serde(flatten)]
            place: Place<'a>,
            value: &'a T,
        }
        self.client.builtin("state::set", &Set { place: self.place(key), value })
    }

    /// Changes parts of a value in one step, so that two writers never undo each other. A value that is missing counts as
    /// `{}`.
    ///
    /// An operation that cannot be done is left out, and named in [`WriteResult::errors`].
    pub fn update(&self, key: &str, update: Update) -> Call<WriteResult<T>> {
        #[derive(Serialize)]
        struct Input<'a> {
            #[serde(flatten)]
            place: Place<'a>,
            ops: Update,
        }
        self.client.builtin("state::update", &Input { place: self.place(key), ops: update })
    }

    /// Removes a value, and gives it.
    pub fn delete(&self, key: &str) -> Call<Option<T>> {
        self.client.builtin("state::delete", &self.place(key))
    }

    /// All values of the scope, without their keys, the oldest key first.
    pub fn list(&self) -> Call<Vec<T>> {
        #[derive(Serialize)]
        struct Scope<'a> {
            scope: &'a str,
        }
        self.client.builtin("state::list", &Scope { scope: &self.scope })
    }
}

impl<T> Clone for StateClient<T> {
    fn clone(&self) -> Self {
        Self::new(self.client.clone(), self.scope.clone())
    }
}

/// The scopes that hold something.
pub(super) fn scopes(client: &Client) -> Call<Vec<String>> {
    #[derive(Serialize)]
    struct Nothing {}
    #[derive(Deserialize)]
    struct Groups {
        groups: Vec<String>,
    }
    client.reading("state::list_groups", &Nothing {}, |answer| {
        answer.parse::<Groups>().map(|answer| answer.groups)
    })
}

//! The client of the state of a scope: values of one type, by key ([protocol 6.2](crate::protocol#s6-2)).

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Call, Client, NoInput};
use crate::update::{Update, WriteResult};

/// The state of one scope. Created by [`Client::state`].
///
/// A value that is `null` and a missing value are both `None`.
#[derive(Debug)]
pub struct StateClient<T> {
    client: Client,
    scope: String,
    values: PhantomData<fn() -> T>,
}

#[derive(Serialize)]
struct StateKey<'a> {
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

    fn key<'a>(&'a self, key: &'a str) -> StateKey<'a> {
        StateKey { scope: &self.scope, key }
    }
}

impl<T: DeserializeOwned> StateClient<T> {
    /// Reads a value; `None` if there is none.
    pub fn get(&self, key: &str) -> Call<Option<T>> {
        self.client.builtin("state::get", &self.key(key))
    }

    /// Sets a value, replacing an earlier one. Fires `state` triggers even if the value is equal.
    pub fn set(&self, key: &str, value: &T) -> Call<WriteResult<T>>
    where
        T: Serialize,
    {
        #[derive(Serialize)]
        struct SetInput<'a, T> {
            #[serde(flatten)]
            key: StateKey<'a>,
            value: &'a T,
        }
        self.client.builtin("state::set", &SetInput { key: self.key(key), value })
    }

    /// Updates a value atomically, so that concurrent updates are not lost. A missing value counts as `{}`.
    ///
    /// Skips an operation that cannot be applied, and lists it in [`WriteResult::errors`].
    pub fn update(&self, key: &str, update: Update) -> Call<WriteResult<T>> {
        #[derive(Serialize)]
        struct UpdateInput<'a> {
            #[serde(flatten)]
            key: StateKey<'a>,
            ops: Update,
        }
        self.client.builtin("state::update", &UpdateInput { key: self.key(key), ops: update })
    }

    /// Deletes a value, and returns it.
    pub fn delete(&self, key: &str) -> Call<Option<T>> {
        self.client.builtin("state::delete", &self.key(key))
    }

    /// Lists the values of the scope, without their keys, the oldest key first.
    pub fn list(&self) -> Call<Vec<T>> {
        #[derive(Serialize)]
        struct ScopeInput<'a> {
            scope: &'a str,
        }
        self.client.builtin("state::list", &ScopeInput { scope: &self.scope })
    }
}

impl<T> Clone for StateClient<T> {
    fn clone(&self) -> Self {
        Self::new(self.client.clone(), self.scope.clone())
    }
}

/// Lists the scopes that have values.
pub(super) fn scopes(client: &Client) -> Call<Vec<String>> {
    #[derive(Deserialize)]
    struct GroupList {
        groups: Vec<String>,
    }
    client.builtin_with("state::list_groups", &NoInput {}, |result| {
        result.parse::<GroupList>().map(|list| list.groups)
    })
}

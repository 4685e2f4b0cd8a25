//! Configurations in tests: given by the test, or set in the engine's store.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::Serialize;

use super::{Harness, locked};
use crate::config::Configurable;
use iii_wire::Result;
use iii_wire::protocol::Payload;

impl Harness {
    /// Gives the value of a configuration, in place of all its sources and of what the set-up gives. The same value, to
    /// look into later.
    ///
    /// Without it the worker of a test reads the defaults, a file that the set-up names, and the store of the engine of
    /// the test, but no environment.
    ///
    /// # Panics
    ///
    /// If the worker runs already.
    #[track_caller]
    pub fn config<T: Configurable>(&self, value: T) -> Arc<T> {
        let value = Arc::new(value);
        let shared = value.clone();
        self.before_start("config", |plan| {
            plan.configs.push(Box::new(move |app| app.share_config(shared)));
        });
        value
    }

    /// Sets the value of a configuration in the engine's store, as another worker would by `configuration::set`, and
    /// settles. Before the worker runs, it is what the worker finds there.
    ///
    /// A worker that has refused the value keeps the old one, and says so in its log.
    ///
    /// # Errors
    ///
    /// What the engine answers: `SCHEMA_INVALID` if the value does not fit the schema, for example.
    ///
    /// # Panics
    ///
    /// If the configuration has no `id`.
    #[track_caller]
    pub fn configure<T: Configurable>(
        &self,
        value: &impl Serialize,
    ) -> BoxFuture<'static, Result<()>> {
        self.only_here("configure");
        let config = T::descriptor();
        let Some(id) = config.id else {
            panic!("`{}` has no `id`, so it is not in the engine's store", config.name);
        };
        let value = Payload::new(value).expect("the value can be written as JSON");
        let mut later = None;
        match &mut *locked(&self.inner.plan) {
            Some(plan) => drop(plan.stored.insert(id.to_owned(), value)),
            None => later = Some(value),
        }
        if later.is_some() {
            self.step("configure");
        }
        let harness = self.clone();
        Box::pin(async move {
            #[derive(Serialize)]
            struct Set {
                id: &'static str,
                value: Payload,
            }
            let Some(value) = later else { return Ok(()) };
            let set =
                harness.outside().builtin::<Payload>("configuration::set", &Set { id, value });
            set.await?;
            harness.settled().await;
            Ok(())
        })
    }
}

//! The trait of a trigger type: the configuration and the event of its triggers, and the code that fires them.

use std::future::{Future, ready};

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Emitter;
use iii_wire::Result;

/// A trigger type that this worker provides. The implementing type is the configuration of a trigger.
///
/// Workers of any language bind functions to it ([protocol 3.6](crate::protocol#s3-6)). For each binding, [`TriggerType::run`] runs until
/// the trigger is unregistered, when its future is dropped.
///
/// ```
/// use iii::prelude::*;
/// use iii::{Emitter, TriggerType};
/// use std::time::Duration;
///
/// /// The interval.
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// pub struct Every { millis: u64 }
///
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// pub struct Beat { number: u64 }
///
/// /// Fires at an interval.
/// #[iii::trigger_type(id = "heart::beat")]
/// impl TriggerType for Every {
///     type Event = Beat;
///
///     async fn run(self, emitter: Emitter<Beat>) -> iii::Result<()> {
///         let mut ticks = tokio::time::interval(Duration::from_millis(self.millis));
///         for number in 0.. {
///             ticks.tick().await;
///             emitter.emit(&Beat { number }).await?;
///         }
///         Ok(())
///     }
/// }
///
/// /// A function in this worker or in another one is bound to it.
/// #[iii::function(id = "heart::count")]
/// #[iii::trigger(Every { millis: 500 })]
/// async fn count(beat: Beat) {
///     println!("{}", beat.number);
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the config of a trigger type",
    label = "not a trigger type",
    note = "a trigger type is `#[iii::trigger_type(id = \"…\")] impl iii::TriggerType for {Self}`",
    note = "name a type that another worker provides by its id: `#[iii::trigger(\"id\", config = …)]`"
)]
pub trait TriggerType: Serialize + DeserializeOwned + JsonSchema + Send + 'static {
    /// The id on the wire. [`#[iii::trigger_type]`](macro@crate::trigger_type) sets it.
    const ID: &'static str;
    /// The description. The macro sets it to the doc comment of the `impl`.
    const DESCRIPTION: &'static str = "";

    /// The payload of the functions that it fires.
    type Event: Serialize + JsonSchema + Send + Sync + 'static;

    /// Checks a binding before it is accepted. An error refuses it, and is sent to the worker that registered the trigger.
    /// Default: accepts all.
    fn check(&self, emitter: &Emitter<Self::Event>) -> impl Future<Output = Result<()>> + Send {
        let _ = emitter;
        ready(Ok(()))
    }

    /// Serves one binding until it is removed. May return earlier; an error is logged.
    fn run(self, emitter: Emitter<Self::Event>) -> impl Future<Output = Result<()>> + Send;
}

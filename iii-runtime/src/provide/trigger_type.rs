//! The trait of a trigger type: what a binding is told, what fires, and the code that runs for each binding.

use std::future::{Future, ready};

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Emitter;
use iii_wire::Result;

/// A trigger type that this worker provides. The type itself is the config of a binding.
///
/// Workers of any language bind functions to it (protocol section 3.6). For each binding, [`TriggerType::run`] runs until
/// the binding is removed; then its future is dropped, wherever it waits.
///
/// ```
/// use iii::prelude::*;
/// use iii::{Emitter, TriggerType};
/// use std::time::Duration;
///
/// /// How often.
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// pub struct Every { millis: u64 }
///
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// pub struct Beat { number: u64 }
///
/// /// Fires again and again.
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
/// /// Another function, in this worker or in another one, is bound to it.
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
    note = "one that another worker provides is named by its id: `#[iii::trigger(\"id\", config = …)]`"
)]
pub trait TriggerType: Serialize + DeserializeOwned + JsonSchema + Send + 'static {
    /// The id on the wire. [`#[iii::trigger_type]`](macro@crate::trigger_type) writes it.
    const ID: &'static str;
    /// What fires it. The macro writes the doc comment of the `impl`.
    const DESCRIPTION: &'static str = "";

    /// What functions get when it fires.
    type Event: Serialize + JsonSchema + Send + Sync + 'static;

    /// Looks at a binding before it is taken. An error refuses it: the worker that wants it is told. Default: all are
    /// taken.
    fn check(&self, emitter: &Emitter<Self::Event>) -> impl Future<Output = Result<()>> + Send {
        let _ = emitter;
        ready(Ok(()))
    }

    /// Serves one binding until it is removed. It may end before; an error is logged.
    fn run(self, emitter: Emitter<Self::Event>) -> impl Future<Output = Result<()>> + Send;
}

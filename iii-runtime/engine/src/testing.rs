//! Internal API of the engine for the test harness of `iii-runtime`, without any stability guarantee.

use hyper::{Request, Response};

use crate::broker;
use crate::engine::Engine;
pub use crate::stream::LocalSubscriber;

pub use crate::broker::BuiltInObserver;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use iii_wire::protocol::Payload;
use iii_wire::{BoxError, Error, Result, code};

impl Engine {
    /// Fires a trigger, whatever its type and whether or not it has a provider, and waits for the function's result.
    ///
    /// # Errors
    ///
    /// `invalid_argument` if there is no such trigger; otherwise the error of the function.
    pub async fn fire(&self, id: &str, data: Payload) -> Result<Option<Payload>> {
        let bindings = self.broker.all_bindings();
        let Some(binding) = bindings.iter().find(|binding| binding.id == id) else {
            let ids: Vec<String> = bindings
                .iter()
                .map(|binding| format!("`{}` ({})", binding.id, binding.trigger_type))
                .collect();
            let text =
                format!("no trigger has the id `{id}`; the triggers are: {}", ids.join(", "));
            return Err(Error::new(code::INVALID_ARGUMENT, text));
        };
        Ok(self.broker.invoke(broker::Request::fired(binding, data)).await?)
    }

    /// Calls a built-in function as the engine itself.
    ///
    /// # Errors
    ///
    /// Whatever the function fails with.
    pub async fn call(&self, function_id: &'static str, data: Payload) -> Result<Option<Payload>> {
        let request = broker::Request {
            namespace: Default::default(),
            function_id: function_id.into(),
            data,
            metadata: None,
            traceparent: None,
            baggage: None,
        };
        Ok(self.broker.invoke(request).await?)
    }

    /// Calls `observer` with the id and the input of each call of a built-in function.
    pub fn observe_built_ins(&self, observer: BuiltInObserver) {
        self.broker.observe_built_ins(observer);
    }

    /// Returns whether the engine itself serves a function.
    pub fn is_built_in(&self, id: &str) -> bool {
        self.broker.is_built_in(id)
    }

    /// Returns the number of messages of a topic or a named queue that are in flight.
    pub fn in_flight(&self, queue: &str) -> usize {
        self.probes.queues.as_ref().map_or(0, |queues| queues.in_flight(queue))
    }

    /// Sets whether each message of a queue is delivered a second time after it was processed.
    pub fn set_deliver_twice(&self, twice: bool) {
        if let Some(queues) = &self.probes.queues {
            queues.deliver_twice(twice);
        }
    }

    /// Subscribes to a group of a stream, or to one item of it. `None` if streams are off.
    pub async fn subscribe(
        &self,
        stream: &str,
        group: &str,
        item: Option<&str>,
    ) -> Option<LocalSubscriber> {
        let streams = self.probes.streams.clone()?;
        Some(LocalSubscriber::join(streams, stream, group, item).await)
    }

    /// Like [`Engine::request`], with a streaming response body.
    pub async fn respond(
        &self,
        request: Request<Bytes>,
    ) -> Response<UnsyncBoxBody<Bytes, BoxError>> {
        let response = self.http.respond(request.map(Full::new)).await;
        response.map(|body| body.map_err(BoxError::from).boxed_unsync())
    }
}

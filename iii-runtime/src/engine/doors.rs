//! The doors through which a test looks into an engine of its own, and acts in place of what only sockets bring.

use std::sync::Arc;

use hyper::{Request, Response};

use super::queue::Queues;
use super::stream::{LocalSubscriber, Streams};
use super::{Engine, ResponseBody, broker};
use crate::error::{Error, Result, code};
use crate::protocol::Payload;
use http_body_util::Full;
use hyper::body::Bytes;

/// The providers that a test looks into.
pub(super) struct Doors {
    pub(super) queues: Option<Arc<Queues>>,
    pub(super) streams: Option<Arc<Streams>>,
}

impl Engine {
    /// Fires a trigger, whatever its type and whether anybody provides it, and waits for the function's answer.
    ///
    /// # Errors
    ///
    /// `invalid_argument` if there is no such trigger; else whatever the function fails with.
    pub(crate) async fn fire(&self, id: &str, data: Payload) -> Result<Option<Payload>> {
        let bindings = self.broker.all_bindings();
        let Some(binding) = bindings.iter().find(|binding| binding.id == id) else {
            let ids: Vec<String> = bindings
                .iter()
                .map(|binding| format!("`{}` ({})", binding.id, binding.trigger_type))
                .collect();
            let text = format!("there is no trigger `{id}`; there are: {}", ids.join(", "));
            return Err(Error::new(code::INVALID_ARGUMENT, text));
        };
        Ok(self.broker.invoke(broker::Request::fired(binding, data)).await?)
    }

    /// Lets `seen` see the id and the input of each call of a built-in function.
    pub(crate) fn watch(&self, seen: broker::Seen) {
        self.broker.watch(seen);
    }

    /// Whether the engine itself serves a function.
    pub(crate) fn serves(&self, id: &str) -> bool {
        self.broker.is_built_in(id)
    }

    /// How many messages of a topic or a named queue are being worked on.
    pub(crate) fn running(&self, queue: &str) -> usize {
        self.doors.queues.as_ref().map_or(0, |queues| queues.running(queue))
    }

    /// Whether each message of a queue is delivered once more after it was worked on.
    pub(crate) fn deliver_twice(&self, twice: bool) {
        if let Some(queues) = &self.doors.queues {
            queues.deliver_twice(twice);
        }
    }

    /// Subscribes to a group of a stream, or to one item of it.
    pub(crate) async fn subscribe(
        &self,
        stream: &str,
        group: &str,
        item: Option<&str>,
    ) -> Option<LocalSubscriber> {
        let streams = self.doors.streams.clone()?;
        Some(LocalSubscriber::join(streams, stream, group, item).await)
    }

    /// As [`Engine::request`], with a body that is read as it comes.
    pub(crate) async fn respond(&self, request: Request<Bytes>) -> Response<ResponseBody> {
        self.http.respond(request.map(Full::new)).await
    }
}

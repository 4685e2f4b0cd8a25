//! The middleware of a listener: the function that gets the calls of its connections instead of their targets.

use std::time::Duration;

use serde::Serialize;

use crate::broker::{Detour, Request};
use crate::provider::to_payload;
use iii_wire::protocol::{Action, FunctionId, Payload};

/// The function, and how long it may take.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CallMiddleware {
    pub(crate) function_id: FunctionId,
    pub(crate) timeout: Duration,
}

/// What it gets (protocol section 9.5).
#[derive(Serialize)]
struct Input<'a> {
    function_id: &'a str,
    payload: &'a Payload,
    action: Option<&'a Action>,
    context: &'a Payload,
    namespace: &'a str,
}

impl CallMiddleware {
    /// How long it may take by default: as long as SDKs wait for an answer (protocol section 4.3).
    pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

    /// The way of a call to the middleware. It makes the call itself, and its answer is that of the call.
    pub(crate) fn detour(
        &self,
        call: &Request,
        action: Option<&Action>,
        context: &Payload,
    ) -> Detour {
        let data = to_payload(&Input {
            function_id: &call.function_id,
            payload: &call.data,
            action,
            context,
            namespace: &call.namespace,
        });
        // Texts and JSON can always be written; and whatever happens, no call goes past the middleware.
        let data = data.unwrap_or_default();
        Detour { function_id: self.function_id.clone(), data, limit: self.timeout }
    }
}

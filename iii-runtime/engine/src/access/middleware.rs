//! The middleware function of a listener, which receives the calls of its connections instead of their targets.

use std::time::Duration;

use serde::Serialize;

use crate::broker::{Redirect, Request};
use crate::provider::to_payload;
use iii_wire::protocol::{Action, FunctionId, Payload};

/// A middleware function with its timeout.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CallMiddleware {
    pub(crate) function_id: FunctionId,
    pub(crate) timeout: Duration,
}

/// Input of the middleware function ([protocol 9.5](iii_wire::protocol#s9-5)).
#[derive(Serialize)]
struct MiddlewareInput<'a> {
    function_id: &'a str,
    payload: &'a Payload,
    action: Option<&'a Action>,
    context: &'a Payload,
    namespace: &'a str,
}

impl CallMiddleware {
    /// Default timeout: the call timeout of the SDKs ([protocol 4.3](iii_wire::protocol#s4-3)).
    pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

    /// Redirects a call to the middleware, whose result becomes the result of the call.
    pub(crate) fn redirect(
        &self,
        call: &Request,
        action: Option<&Action>,
        context: &Payload,
    ) -> Redirect {
        let data = to_payload(&MiddlewareInput {
            function_id: &call.function_id,
            payload: &call.data,
            action,
            context,
            namespace: &call.namespace,
        });
        // Serialization of strings and JSON cannot fail. If it did, the call must still not bypass the middleware.
        let data = data.unwrap_or_default();
        Redirect { function_id: self.function_id.clone(), data, limit: self.timeout }
    }
}

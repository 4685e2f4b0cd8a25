//! An invocation on its way to a handler, from which the arguments are extracted.

use std::sync::Arc;

use super::extension::InterceptorData;
use super::{Context, HttpParts, Resources};
use crate::function::RequestParts;
use crate::session::Session;
use iii_wire::protocol::Payload;
use iii_wire::{Result, TriggerKind};

/// An invocation, before its arguments are extracted.
///
/// Custom extractors read it, and interceptors modify it.
#[derive(Debug)]
pub struct Invocation {
    context: Context,
    data: Payload,
    metadata: Option<Payload>,
    request_parts: RequestParts,
    http: Option<HttpParts>,
    resources: Arc<Resources>,
    session: Option<Arc<Session>>,
    pub(super) interceptor_data: InterceptorData,
    /// Snapshots of values that may change while the invocation runs, such as configurations.
    snapshots: Resources,
}

/// The parts of which the worker creates an [`Invocation`].
#[derive(Debug)]
pub(crate) struct InvocationParts {
    pub context: Context,
    pub data: Payload,
    pub metadata: Option<Payload>,
    pub request_parts: RequestParts,
    pub resources: Arc<Resources>,
    /// The session of the worker; `None` outside of a running worker.
    pub session: Option<Arc<Session>>,
}

impl Invocation {
    pub(crate) fn new(parts: InvocationParts) -> Self {
        let InvocationParts { context, data, metadata, request_parts, resources, session } = parts;
        Self {
            context,
            data,
            metadata,
            request_parts,
            http: None,
            resources,
            session,
            interceptor_data: InterceptorData::default(),
            snapshots: Resources::default(),
        }
    }

    /// The context of the invocation.
    pub fn context(&self) -> &Context {
        &self.context
    }

    pub(super) fn context_mut(&mut self) -> &mut Context {
        &mut self.context
    }

    pub(super) fn replace_data(&mut self, data: Payload) {
        self.http = None;
        self.data = data;
    }

    /// The data as received. For an `http` trigger it is the whole request, which [`Invocation::http`] parses.
    pub fn data(&self) -> &Payload {
        &self.data
    }

    /// The metadata of the call, or of the trigger's declaration.
    pub fn metadata(&self) -> Option<&Payload> {
        self.metadata.as_ref()
    }

    /// The values that the app provides.
    pub fn resources(&self) -> &Resources {
        &self.resources
    }

    /// The snapshot of a value that [`Invocation::keep_snapshot`] kept.
    pub(crate) fn snapshot<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.snapshots.get()
    }

    /// Keeps a value unchanged for the rest of the invocation.
    pub(crate) fn keep_snapshot<T: Send + Sync + 'static>(&mut self, value: Arc<T>) {
        self.snapshots.insert(value);
    }

    /// The session of the worker that serves the invocation; `None` outside of a running worker.
    pub(crate) fn session(&self) -> Option<&Arc<Session>> {
        self.session.as_ref()
    }

    /// The parts of an HTTP request that the extractors of the function take.
    pub fn request_parts(&self) -> RequestParts {
        self.request_parts
    }

    /// Whether the data is an HTTP request: an `http` trigger fired, or the function takes parts of a request.
    pub fn is_http(&self) -> bool {
        self.request_parts.http || self.is_http_trigger()
    }

    pub(crate) fn is_http_trigger(&self) -> bool {
        self.context.trigger.as_ref().is_some_and(|trigger| trigger.kind == TriggerKind::Http)
    }

    /// The parts of the HTTP request, parsed on the first call. The body stays raw.
    ///
    /// # Errors
    ///
    /// `invalid_payload` if the data is not an HTTP request, for example that of a direct call.
    pub fn http(&mut self) -> Result<&HttpParts> {
        if self.http.is_none() {
            self.http = Some(HttpParts::parse(&self.data)?);
        }
        Ok(self.http.as_ref().expect("the parts were parsed above"))
    }
}

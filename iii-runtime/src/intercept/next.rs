//! What an interceptor runs around: the interceptors further in, and in the end the handler, each stopped at the
//! deadline, and a panic of any of them an error.

use std::any::Any;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::timeout_at;

use super::{AnyInterceptor, Room};
use crate::extract::Invocation;
use crate::output::HandlerFuture;
use crate::output::Reply;
use iii_wire::protocol::InvocationId;
use iii_wire::{Error, Result, code};

/// How long interceptors may go on after the deadline, once the handler has ended. Callers wait a second longer than a
/// function may take.
const LATE: Duration = Duration::from_millis(500);

/// The rest of an invocation: the interceptors further in, and then the function. [`Next::run`] takes it, so that it runs
/// at most once.
pub struct Next {
    chain: Arc<[AnyInterceptor]>,
    /// The first of the chain that has not yet run.
    at: usize,
    handler: Handler,
    flow: Arc<Flow>,
}

/// What stands at the end of a chain.
pub(crate) enum Handler {
    /// The handler of a declared function.
    Declared(fn(Invocation) -> HandlerFuture),
    /// Something in its place. The lock is never waited for: it lets a `Next` be looked at from several threads.
    Other(Mutex<Box<dyn FnOnce(Invocation) -> HandlerFuture + Send>>),
}

/// What all parts of one invocation share.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    room: Mutex<Option<Room>>,
    /// Set when the innermost part that ran has ended: what runs from now on is on its way out.
    returning: AtomicBool,
    /// What the first panic said.
    panic: Mutex<Option<String>>,
}

impl Next {
    pub(crate) fn new(
        chain: Arc<[AnyInterceptor]>,
        handler: Handler,
        room: Option<Room>,
    ) -> (Self, Arc<Flow>) {
        let flow = Arc::new(Flow { room: Mutex::new(room), ..Flow::default() });
        (Self { chain, at: 0, handler, flow: flow.clone() }, flow)
    }

    /// An end without a worker, for unit tests of an interceptor: the closure stands for the function.
    ///
    /// ```
    /// use iii::intercept::Timeout;
    /// use iii::{Context, Interceptor, Invocation, Next, Output, Payload};
    /// use std::time::Duration;
    ///
    /// # async fn test() -> iii::Result<()> {
    /// let call = Invocation::test(Context::test(), Payload::new(&2)?);
    /// let next = Next::test(|call| async move { (call.data().parse::<u32>()? * 2).into_reply() });
    /// let reply = Timeout::after(Duration::from_secs(1)).around(call, next).await?;
    /// assert_eq!(reply.value().unwrap().as_str(), "4");
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(test()).unwrap();
    /// ```
    pub fn test<F, R>(function: F) -> Self
    where
        F: FnOnce(Invocation) -> R + Send + 'static,
        R: Future<Output = Result<Reply>> + Send + 'static,
    {
        let handler = Handler::other(|call| Box::pin(async move { function(call).await }));
        Self::new(Arc::new([]), handler, None).0
    }

    /// Runs the rest: the interceptors further in, and then the function.
    ///
    /// # Errors
    ///
    /// The error of the function or of an interceptor further in. A panic is an error with the code
    /// [`panic`](code::PANIC), a deadline that is over one with the code [`timeout`](code::TIMEOUT).
    pub async fn run(self, call: Invocation) -> Result<Reply> {
        self.go(Box::new(call)).await
    }

    /// Waits for something without taking the room of others: meanwhile the invocation does not count among those that
    /// run at the same time, by the `concurrency` of its function and of the app. Its deadline goes on.
    ///
    /// # Errors
    ///
    /// `shutting_down`, if the worker stops.
    pub async fn wait_for<T>(&self, waiting: impl Future<Output = T> + Send) -> Result<T> {
        let outside = locked(&self.flow.room).take().map(Room::leave);
        let value = waiting.await;
        if let Some(outside) = outside {
            let room = outside.enter().await?;
            *locked(&self.flow.room) = Some(room);
        }
        Ok(value)
    }

    /// As [`Next::run`], with a call that is in a box already.
    pub(crate) async fn go(self, call: Box<Invocation>) -> Result<Reply> {
        let flow = self.flow.clone();
        let _returning = Returning(&flow);
        let id = call.context().invocation_id();
        let limit = call.time_limit();
        let deadline = call.context().deadline();
        let who = self.chain.get(self.at).map(AnyInterceptor::name);
        // The call is made inside the future, so that a panic before the first await is caught as well.
        let running = AssertUnwindSafe(self.step(call)).catch_unwind();
        let ended = match deadline {
            None => running.await,
            Some(deadline) => {
                tokio::pin!(running);
                let mut ended = timeout_at(deadline, &mut running).await;
                // Whoever is on the way out may still write down how it ended.
                if ended.is_err() && flow.returning.load(Ordering::Acquire) {
                    ended = timeout_at(deadline + LATE, &mut running).await;
                }
                ended.map_err(|_| too_long(limit))?
            }
        };
        ended.unwrap_or_else(|panic| Err(flow.panicked(&*panic, who, id)))
    }

    async fn step(self, call: Box<Invocation>) -> Result<Reply> {
        let Self { chain, at, handler, flow } = self;
        match chain.get(at) {
            Some(interceptor) => {
                let next = Self { chain: chain.clone(), at: at + 1, handler, flow };
                interceptor.call(call, next).await
            }
            None => match handler {
                Handler::Declared(handler) => handler(*call).await,
                Handler::Other(handler) => {
                    let handler = handler.into_inner().unwrap_or_else(PoisonError::into_inner);
                    handler(*call).await
                }
            },
        }
    }
}

impl Handler {
    pub(crate) fn other(
        handler: impl FnOnce(Invocation) -> HandlerFuture + Send + 'static,
    ) -> Self {
        Self::Other(Mutex::new(Box::new(handler)))
    }
}

impl Flow {
    /// What the first panic said, if there was one.
    pub(crate) fn take_panic(&self) -> Option<String> {
        locked(&self.panic).take()
    }

    /// The error of a panic. Its text is for the log of the worker, not for callers.
    fn panicked(
        &self,
        panic: &(dyn Any + Send),
        interceptor: Option<&'static str>,
        id: InvocationId,
    ) -> Error {
        let text = text_of(panic);
        match interceptor {
            None => tracing::error!("the handler panicked: {text}"),
            Some(name) => tracing::error!("the interceptor `{name}` panicked: {text}"),
        }
        locked(&self.panic).get_or_insert(text);
        Error::new(
            code::PANIC,
            format!("the function panicked; the log of the worker has more under {id}"),
        )
    }
}

/// Says that a part has ended, also if it was dropped.
struct Returning<'a>(&'a Flow);

impl Drop for Returning<'_> {
    fn drop(&mut self) {
        self.0.returning.store(true, Ordering::Release);
    }
}

fn too_long(limit: Option<Duration>) -> Error {
    let text = match limit {
        Some(limit) => format!("the function took longer than {limit:?}"),
        None => "the function was not done before its deadline".to_owned(),
    };
    Error::new(code::TIMEOUT, text)
}

/// What a panic said.
fn text_of(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "(not text)".to_owned())
}

/// No code of others runs under these locks, so what is behind them is whole even after a panic.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.chain[self.at..]).finish()
    }
}

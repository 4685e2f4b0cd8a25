//! One log event for each invocation: what ran, how it ended, and how long it took.

use std::time::Duration;

use tokio::time::Instant;
use tracing::Level;

use super::{Interceptor, Next};
use crate::extract::{Context, Invocation};
use crate::output::Reply;
use iii_wire::Result;

/// Writes one [`tracing`] event for each invocation, when it ends: `function`, `trigger`, `attempt`, `outcome` and
/// `elapsed_ms`.
///
/// The outcome is `ok`, the code of the error (also `panic` and `timeout`), or `dropped` if something outside gave up on
/// the call. It is recorded in the span of the invocation as well, which every worker has. Put it first, so that it sees
/// what the others do. Payloads are not logged.
///
/// | end | level |
/// |---|---|
/// | `ok` | `INFO`, or what [`Traced::level`] says |
/// | an error that is the caller's: its status is below 500 | the same |
/// | another error, or dropped | `WARN` |
///
/// ```
/// use iii::intercept::Traced;
///
/// # let mut app = iii::App::new();
/// app.intercept(Traced::new());
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Traced {
    level: Level,
}

impl Traced {
    /// Events of the level `INFO`.
    pub fn new() -> Self {
        Self { level: Level::INFO }
    }

    /// Sets the level of what went well. Default: `INFO`.
    #[must_use]
    pub fn level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }
}

impl Default for Traced {
    fn default() -> Self {
        Self::new()
    }
}

impl Interceptor for Traced {
    async fn around(&self, call: Invocation, next: Next) -> Result<Reply> {
        let mut told =
            Told { context: call.context().clone(), began: Instant::now(), ended: false };
        let result = next.run(call).await;
        match &result {
            Ok(_) => told.tell("ok", self.level),
            Err(error) => {
                let level = if error.status() < 500 { self.level } else { Level::WARN };
                told.tell(error.code(), level);
            }
        }
        result
    }
}

/// Tells of the end of one invocation, also if it is dropped.
struct Told {
    context: Context,
    began: Instant,
    ended: bool,
}

impl Told {
    fn tell(&mut self, outcome: &str, level: Level) {
        self.ended = true;
        let elapsed_ms = millis(self.began.elapsed());
        let function: &str = self.context.function_id();
        let trigger = self.context.trigger().map(|trigger| tracing::field::display(&trigger.kind));
        let attempt = self.context.attempt();
        // The level of an event is part of its place in the code.
        macro_rules! event {
            ($($level:ident)*) => {
                match level {
                    $(Level::$level => tracing::event!(
                        Level::$level, function, trigger, attempt, outcome, elapsed_ms, "invoked"
                    ),)*
                }
            };
        }
        event!(TRACE DEBUG INFO WARN ERROR);
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        if !self.ended {
            self.tell("dropped", Level::WARN);
        }
    }
}

/// With parts of a millisecond: many functions take less than one.
fn millis(elapsed: Duration) -> f64 {
    elapsed.as_secs_f64() * 1000.0
}

//! What interceptors promise, by tests that use them as workers do.

mod concurrency;
mod deduplicate;
mod ends;
mod harness;
mod order;
mod rate;
mod retry;
mod traced;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::extract::Invocation;
use crate::intercept::{Interceptor, Next};
use crate::output::Reply;
use crate::prelude::*;
use iii_wire::Result;

const SECOND: Duration = Duration::from_secs(1);

/// What happened, in order.
#[derive(Debug, Default)]
struct Story(Mutex<Vec<String>>);

impl Story {
    fn tell(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    /// All of it so far; it begins anew.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Tells when it begins and how it ends.
struct Tells(&'static str);

impl Interceptor for Tells {
    async fn around(&self, call: Invocation, next: Next) -> Result<Reply> {
        let story: Arc<Story> = call.resources().get().unwrap();
        story.tell(format!("{} begins", self.0));
        let result = next.run(call).await;
        let end = result.as_ref().map_or_else(|error| error.code().to_owned(), |_| "ok".to_owned());
        story.tell(format!("{} ends: {end}", self.0));
        result
    }
}

/// A payload with a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Job {
    key: Option<String>,
    /// How long it takes.
    seconds: u64,
}

impl Job {
    fn of(key: &str, seconds: u64) -> Self {
        Self { key: Some(key.to_owned()), seconds }
    }
}

/// Takes as long as it is told, and tells of it.
async fn work(job: Job, story: State<Story>) -> u64 {
    let key = job.key.as_deref().unwrap_or("-");
    story.tell(format!("{key} runs"));
    tokio::time::sleep(Duration::from_secs(job.seconds)).await;
    story.tell(format!("{key} is done"));
    job.seconds
}

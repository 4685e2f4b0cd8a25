//! The health function of a worker: whether it is ready, and what the checks of the app say.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::catalogue::CatalogueProblem;
use crate::declare::FunctionDescriptor;
use crate::extract::{Extract, Invocation, Resources};
use crate::function::{Location, Signature};
use crate::output::HandlerFuture;
use crate::output::{Output, Response};
use crate::session::Readiness;
use iii_wire::{Error, Result, code};

/// The crate of functions that nobody has declared.
pub(super) const OWN_CRATE: &str = "iii";

/// How long one check may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// What a health function answers. Over HTTP its status is 200, or 503 if something fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct HealthReport {
    /// The name of the worker.
    pub worker: String,
    /// `ok` if the worker is ready and no check fails.
    pub status: HealthStatus,
    /// Whether the worker is ready.
    pub ready: bool,
    /// What the engine has refused since the link is there, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<String>,
    /// The checks of the app, by name.
    pub checks: BTreeMap<String, CheckReport>,
}

/// What became of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct CheckReport {
    /// Whether it went well.
    pub status: HealthStatus,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// The code of its error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Its error, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Whether something goes well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// It does.
    Ok,
    /// It does not.
    Failing,
}

/// A check that has what it takes, and only needs to run.
type Running = BoxFuture<'static, Result<()>>;
/// Takes what a check needs out of the call of the health function.
type Begin = dyn for<'a> Fn(&'a mut Invocation) -> BoxFuture<'a, Result<Running>> + Send + Sync;

/// One check.
#[derive(Clone)]
struct Check {
    name: String,
    location: Location,
    begin: Arc<Begin>,
    describe: fn(&mut Signature),
}

/// What an app wants of its health function, before it runs.
#[derive(Default, Clone)]
pub(crate) struct Health {
    /// There is to be one.
    wanted: Option<Wanted>,
    checks: Vec<Check>,
}

/// How the health function is to be.
#[derive(Debug, Clone)]
struct Wanted {
    /// Its id, if the app names it.
    id: Option<String>,
    /// Where the app asks for it.
    location: Location,
}

/// What the health function of a running worker looks at.
struct Served {
    worker: String,
    checks: Vec<Check>,
    readiness: Arc<Readiness>,
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let checks: Vec<&str> = self.checks.iter().map(|check| check.name.as_str()).collect();
        f.debug_struct("Health").field("wanted", &self.wanted).field("checks", &checks).finish()
    }
}

impl Health {
    /// The worker is to have one, of this id if it is given.
    pub(super) fn want(&mut self, id: Option<String>, location: Location) {
        let wanted = self.wanted.get_or_insert(Wanted { id: None, location });
        if id.is_some() {
            *wanted = Wanted { id, location };
        }
    }

    pub(super) fn check<A, F, Fut>(&mut self, name: String, location: Location, check: F)
    where
        A: Extract + 'static,
        F: Fn(A) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.want(None, location);
        let check = Arc::new(check);
        let begin = of_any_call(move |call| {
            let taken = A::extract(call);
            let check = check.clone();
            Box::pin(async move {
                let taken = taken.await?;
                // The code of the user is entered inside the future, so that a panic in it is caught.
                Ok(Box::pin(async move { check(taken).await }) as Running)
            })
        });
        // The later one of a name counts, as everywhere in an app.
        self.checks.retain(|known| known.name != name);
        self.checks.push(Check { name, location, begin: Arc::new(begin), describe: A::describe });
    }

    /// What the checks need and nobody provides.
    pub(super) fn problems(&self, provided: &Resources) -> Vec<CatalogueProblem> {
        let mut problems = Vec::new();
        for check in &self.checks {
            let mut signature = Signature::new();
            (check.describe)(&mut signature);
            let missing =
                signature.requires().iter().filter(|needed| !provided.contains(needed.type_id));
            problems.extend(missing.map(|needed| CatalogueProblem {
                message: format!(
                    "the health check `{}` takes the state `{}`, which no one provides",
                    check.name, needed.type_name
                ),
                help: "give it to the app, `app.state(value)`".to_owned(),
                locations: vec![check.location],
            }));
        }
        problems
    }

    /// The health function of a worker of this name, if it is to have one. It looks at what is put into the resources.
    pub(super) fn function(
        self,
        worker: &str,
        readiness: &Arc<Readiness>,
        resources: &mut Resources,
    ) -> Option<&'static FunctionDescriptor> {
        let Wanted { id, location } = self.wanted?;
        let id = id.unwrap_or_else(|| format!("{}::health", segment(worker)));
        resources.insert(Arc::new(Served {
            worker: worker.to_owned(),
            checks: self.checks,
            readiness: readiness.clone(),
        }));
        let descriptor = FunctionDescriptor {
            // A worker is made once, or a few times in tests, so this is no leak that grows.
            id: Box::leak(id.into_boxed_str()),
            description: Some("Tells whether this worker is ready, and what its checks say."),
            metadata: None,
            module: OWN_CRATE,
            location,
            handler,
            signature: || {
                let mut signature = Signature::new();
                signature
                    .set_output(Some(schemars::SchemaGenerator::root_schema_for::<HealthReport>));
                signature
            },
            timeout: None,
            concurrency: None,
            intercept: Vec::new,
            triggers: &[],
            endpoint: None,
        };
        Some(Box::leak(Box::new(descriptor)))
    }
}

/// Helps the compiler: the closure takes calls of any lifetime.
fn of_any_call<F>(begin: F) -> F
where
    F: for<'a> Fn(&'a mut Invocation) -> BoxFuture<'a, Result<Running>>,
{
    begin
}

/// The name of a worker as a part of a function id.
fn segment(worker: &str) -> String {
    let allowed =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.');
    let text: String =
        worker.chars().map(|character| if allowed(character) { character } else { '-' }).collect();
    if text.is_empty() { "worker".to_owned() } else { text }
}

fn handler(mut call: Invocation) -> HandlerFuture {
    Box::pin(async move {
        let served = call.resources().get::<Served>().ok_or_else(|| {
            Error::new(code::INTERNAL, "there is no health outside of a running worker")
        })?;
        let report = served.report(&mut call).await;
        let status = if report.status == HealthStatus::Ok { 200 } else { 503 };
        Response::new(status).json(&report)?.into_reply()
    })
}

impl Served {
    async fn report(&self, call: &mut Invocation) -> HealthReport {
        let mut running = Vec::with_capacity(self.checks.len());
        for check in &self.checks {
            running.push(run((check.begin)(call).await));
        }
        let reports = join_all(running).await;
        let checks: BTreeMap<String, CheckReport> =
            self.checks.iter().map(|check| check.name.clone()).zip(reports).collect();
        let ready = self.readiness.is_ready();
        let well = ready && checks.values().all(|check| check.status == HealthStatus::Ok);
        HealthReport {
            worker: self.worker.clone(),
            status: if well { HealthStatus::Ok } else { HealthStatus::Failing },
            ready,
            refused: self.readiness.refusals(),
            checks,
        }
    }
}

/// Runs one check to its end, whatever it does.
async fn run(begun: Result<Running>) -> CheckReport {
    let since = Instant::now();
    let result = match begun {
        Err(error) => Err(error),
        Ok(running) => {
            let guarded = AssertUnwindSafe(running).catch_unwind();
            match tokio::time::timeout(CHECK_TIMEOUT, guarded).await {
                Ok(Ok(result)) => result,
                Ok(Err(_)) => Err(Error::new(code::PANIC, "the check panicked")),
                Err(_) => {
                    let text = format!("the check took longer than {CHECK_TIMEOUT:?}");
                    Err(Error::new(code::TIMEOUT, text))
                }
            }
        }
    };
    let took_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
    match result {
        Ok(()) => CheckReport { status: HealthStatus::Ok, took_ms, code: None, message: None },
        Err(error) => {
            if let Some(source) = std::error::Error::source(&error) {
                tracing::warn!("a health check failed: {error}: {source}");
            }
            CheckReport {
                status: HealthStatus::Failing,
                took_ms,
                code: Some(error.code().to_owned()),
                message: Some(error.message().to_owned()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_of_a_worker_becomes_a_part_of_an_id() {
        assert_eq!(segment("orders-2.b_c"), "orders-2.b_c");
        assert_eq!(segment("a b::ü\n"), "a-b----");
        assert_eq!(segment(""), "worker");
    }
}

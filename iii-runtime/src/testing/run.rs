//! One test: its runtime, its clock, and what becomes of it.

use std::any::Any;
use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, LocalBoxFuture};
use tokio::sync::watch;

use super::faults::Gate;
use super::harness::{Inner, Mode, Skipped, Stage, Steps};
use super::idle::Idle;
use super::record::Recorder;
use super::start::{Plan, SetUp};
use super::{Harness, PointInTime, locked, panics, report};
use crate::app::App;
use crate::app::entry::MainResult;
use crate::catalogue::declared_functions;
use crate::declare::Declared;
use crate::declare::FunctionDescriptor;
use iii_wire::BoxError;
use iii_wire::clock::Clock;
use iii_wire::protocol::Namespace;

/// When virtual time begins, if the test does not say: a Monday.
const START: &str = "2026-01-05T00:00:00Z";

/// What a test may return.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be returned from a test",
    label = "not a result of a test",
    note = "return `()`, or `Result<(), E>` with an error that is `Debug`, such as `iii::Result<()>`"
)]
pub trait TestResult {
    /// The result with any error as text.
    #[doc(hidden)]
    fn into_result(self) -> Result<(), String>;
}

impl TestResult for () {
    fn into_result(self) -> Result<(), String> {
        Ok(())
    }
}

impl<E: Debug> TestResult for Result<(), E> {
    fn into_result(self) -> Result<(), String> {
        self.map_err(|error| format!("the test failed: {error:?}"))
    }
}

/// A test before it runs: what [`#[iii::test]`](macro@crate::test) turns into, for those who bring a test macro of their
/// own.
///
/// ```
/// use iii::prelude::*;
///
/// #[iii::function(id = "doc::double")]
/// async fn double(n: u32) -> u32 { n * 2 }
///
/// iii::testing::Test::new("doubling").only::<double>().run(|iii| async move {
///     assert_eq!(iii.call::<double>(2).await.unwrap(), 4);
/// });
/// ```
#[must_use = "a test runs by `run`"]
pub struct Test {
    name: String,
    start: SystemTime,
    functions: Option<Vec<&'static FunctionDescriptor>>,
    set_up: Option<SetUp>,
    real_time: bool,
    should_panic: Option<&'static str>,
}

impl Test {
    /// A test with everything that is declared in the crates that are linked in. The name is for messages.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            start: START.to_time(),
            functions: None,
            set_up: None,
            real_time: false,
            should_panic: None,
        }
    }

    /// When virtual time begins. Default: `2026-01-05T00:00:00Z`, a Monday.
    ///
    /// # Panics
    ///
    /// If text is no time.
    #[track_caller]
    pub fn start_time(mut self, time: impl PointInTime) -> Self {
        self.start = time.to_time();
        self
    }

    /// Only this function, and others that are named so, in place of all that are declared.
    pub fn only<F: Declared>(mut self) -> Self {
        let function = F::descriptor();
        let functions = self.functions.get_or_insert_default();
        if !functions.iter().any(|known| std::ptr::eq(*known, function)) {
            functions.push(function);
        }
        self
    }

    /// What main does to the app, done for the test as well. Values that the test provides take the place of its.
    pub fn setup<S>(mut self, set_up: S) -> Self
    where
        S: for<'a> FnOnce(&'a mut App) -> BoxFuture<'a, Result<(), BoxError>> + Send + 'static,
    {
        self.set_up = Some(Box::new(set_up));
        self
    }

    /// Time is real, and sockets work. What moves time cannot be used.
    pub fn real_time(mut self) -> Self {
        self.real_time = true;
        self
    }

    /// The test is expected to panic with this text in it. A test that is skipped then panics with it, as a runner of
    /// tests knows no other way to be content.
    #[doc(hidden)]
    pub fn should_panic(mut self, expected: &'static str) -> Self {
        self.should_panic = Some(expected);
        self
    }

    /// Runs the test on this thread.
    ///
    /// # Panics
    ///
    /// If the test fails: its own panic goes on; an error, a worker that cannot start, an expectation that is not met,
    /// and a wait without end panic with a report.
    pub fn run<F, R>(self, body: F)
    where
        F: FnOnce(Harness) -> R,
        R: Future<Output: TestResult>,
    {
        // One body of any type is enough: tests are many.
        self.run_boxed(|harness| {
            let body = body(harness);
            Box::pin(async move { body.await.into_result() })
        });
    }

    fn run_boxed<'a>(self, body: impl FnOnce(Harness) -> LocalBoxFuture<'a, Result<(), String>>) {
        panics::keep_places();
        let (name, should_panic) = (self.name.clone(), self.should_panic);
        let mode = match engine_elsewhere() {
            Some(mode) => mode,
            None if self.real_time => Mode::Real,
            None => Mode::Virtual,
        };
        // One engine, one worker at a time: routes and topics are shared.
        static ELSEWHERE: Mutex<()> = Mutex::new(());
        let _alone = matches!(mode, Mode::Remote { .. }).then(|| locked(&ELSEWHERE));

        let idle = Arc::new(Idle::new());
        let mut builder = tokio::runtime::Builder::new_current_thread();
        if mode == Mode::Virtual {
            let idle = idle.clone();
            builder.enable_time().start_paused(true).on_thread_park(move || idle.parked());
        } else {
            builder.enable_all();
        }
        let runtime = builder.build().expect("a runtime of one thread");
        let (outcome, report) = runtime.block_on(async {
            let harness = self.harness(mode, idle);
            let outcome = outcome(&harness, body).await;
            let report = report::whole(&harness.inner.recorder.all());
            harness.stop().await;
            (outcome, report)
        });
        // A handler that blocks for ever must not keep the test.
        runtime.shutdown_timeout(Duration::from_secs(1));
        match outcome {
            Outcome::Passed => {}
            Outcome::Failed(text) => panic!("{text}\n{report}"),
            Outcome::Panicked(panic) => match panic.downcast::<Skipped>() {
                Ok(skipped) => {
                    say(&format!(
                        "skipped: {name}: `{}` needs an engine in this process, and III_TEST_URL names another",
                        skipped.0
                    ));
                    if let Some(expected) = should_panic {
                        panic!("the test was skipped, and does not get as far as: {expected}");
                    }
                }
                Err(panic) => {
                    say(&report);
                    resume_unwind(panic)
                }
            },
        }
    }

    fn harness(self, mode: Mode, idle: Arc<Idle>) -> Harness {
        let (clock, namespace) = match &mode {
            Mode::Virtual => (Clock::starting_at(self.start), Namespace::default()),
            Mode::Real => (Clock::system(), Namespace::default()),
            Mode::Remote { .. } => {
                let namespace = format!("iii-test-{}", uuid::Uuid::new_v4());
                (Clock::system(), Namespace::from(namespace))
            }
        };
        let recorder = Recorder::new(clock.clone());
        let only = self.functions.is_some();
        let mut functions = self.functions.unwrap_or_else(declared_functions);
        // The order in which a test names them is not the order in which they are served.
        functions.sort_by_key(|function| function.id);
        let plan = Plan {
            functions,
            only,
            set_up: self.set_up,
            provided: Vec::new(),
            queues: Vec::new(),
            http_functions: None,
            configs: Vec::new(),
            stored: HashMap::new(),
        };
        let inner = Inner {
            steps: Steps::new(&mode),
            outside: super::start::outside(namespace, &mode, &clock, &recorder),
            mode,
            clock,
            idle,
            recorder,
            plan: Mutex::new(Some(plan)),
            stage: watch::Sender::new(Stage::Waiting),
            world: OnceLock::new(),
            worker_gate: Gate::new(),
            outside_gate: Gate::new(),
            published: Mutex::default(),
        };
        Harness { inner: Arc::new(inner) }
    }
}

impl Debug for Test {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Test").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What became of a test.
enum Outcome {
    Passed,
    Failed(String),
    Panicked(Box<dyn Any + Send>),
}

/// Runs the body, until it ends or nothing more can come of it.
async fn outcome<'a>(
    harness: &Harness,
    body: impl FnOnce(Harness) -> LocalBoxFuture<'a, Result<(), String>>,
) -> Outcome {
    let inner = &harness.inner;
    let handed = harness.clone();
    // The body is made inside, so that a panic before its first wait is caught as well.
    let body = AssertUnwindSafe(async move { body(handed).await }).catch_unwind();
    let mut stage = inner.stage.subscribe();
    let not_started = async {
        match stage.wait_for(|stage| matches!(stage, Stage::Failed(_))).await.as_deref() {
            Ok(Stage::Failed(error)) => error.clone(),
            _ => std::future::pending().await,
        }
    };
    let ended = tokio::select! {
        biased;
        ended = body => ended,
        error = not_started => return Outcome::Failed(error),
        () = inner.steps.given_up() => return Outcome::Failed(stuck(inner)),
    };
    match ended {
        Err(panic) => return Outcome::Panicked(panic),
        Ok(Err(error)) => return Outcome::Failed(error),
        Ok(Ok(())) => {}
    }
    if *inner.stage.borrow() == Stage::Started {
        // What the last step began may be what is expected.
        harness.settled().await;
    }
    let failures = inner.recorder.failures();
    if failures.is_empty() { Outcome::Passed } else { Outcome::Failed(failures.join("\n")) }
}

/// A test that would wait for ever.
fn stuck(inner: &Inner) -> String {
    let patience = inner.steps.patience.as_secs();
    let waited = match inner.mode {
        Mode::Virtual => format!("{patience} s of virtual time passed by themselves"),
        Mode::Real | Mode::Remote { .. } => format!("{patience} s passed"),
    };
    let last = match *locked(&inner.steps.last) {
        Some((what, place)) => format!("its last step was `{what}` at {place}"),
        None => "it took no step".to_owned(),
    };
    format!("the test waits for something that does not come: {waited}, and {last}")
}

/// The engine that the environment names.
fn engine_elsewhere() -> Option<Mode> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let url = variable("III_TEST_URL")?;
    let http = variable("III_TEST_HTTP_URL").unwrap_or_else(|| {
        let uri: Option<hyper::Uri> = url.parse().ok();
        let host = uri.as_ref().and_then(hyper::Uri::host).unwrap_or("127.0.0.1");
        format!("http://{host}:3111")
    });
    Some(Mode::Remote { url, http })
}

/// Prints for the one who runs the test. Only this way the test runner keeps it for tests that fail.
#[allow(clippy::print_stderr)]
fn say(text: &str) {
    eprintln!("{text}");
}

/// What the macro makes of the set-up that it names.
#[doc(hidden)]
pub fn set_up_result(result: impl MainResult) -> Result<(), BoxError> {
    result.into_result()
}

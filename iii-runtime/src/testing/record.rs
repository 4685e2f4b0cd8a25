//! What happened in a test: each invocation, in the order in which they began.

use std::any::TypeId;
use std::sync::{Arc, Mutex, Weak};
use std::time::SystemTime;

use super::rules::{Rules, When};
use super::{locked, panics, report};
use crate::extract::{Context, Input, Invocation, InvocationParts};
use crate::function::RequestParts;
use crate::worker::{Begun, Ended, Plan, Watch, Watched};
use iii_wire::clock::Clock;
use iii_wire::protocol::{FunctionId, Payload};
use iii_wire::{Error, Result, code};

/// Sees the invocations of the worker and those of the mocks.
#[derive(Debug)]
pub(super) struct Recorder {
    this: Weak<Self>,
    clock: Clock,
    facts: Mutex<Vec<Facts>>,
    pub(super) rules: Mutex<Rules>,
    /// What makes the test fail at its end.
    failures: Mutex<Vec<String>>,
}

/// What is known of one invocation.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) context: Context,
    pub(super) data: Payload,
    metadata: Option<Payload>,
    request_parts: RequestParts,
    /// Something else ran in place of the handler.
    pub(super) mocked: bool,
    pub(super) began: SystemTime,
    pub(super) end: Option<End>,
}

/// How an invocation ended.
#[derive(Debug, Clone)]
pub(super) struct End {
    pub(super) at: SystemTime,
    pub(super) result: Result<Option<Payload>, Arc<Error>>,
}

impl Recorder {
    pub(super) fn new(clock: Clock) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            clock,
            facts: Mutex::default(),
            rules: Mutex::default(),
            failures: Mutex::default(),
        })
    }

    /// All invocations.
    pub(super) fn all(&self) -> Vec<Facts> {
        locked(&self.facts).clone()
    }

    /// The invocations of one function.
    pub(super) fn of(&self, id: &str) -> Vec<Facts> {
        let facts = locked(&self.facts);
        facts.iter().filter(|facts| facts.context.function_id == id).cloned().collect()
    }

    /// How many invocations have begun, and how many of them run.
    pub(super) fn count(&self) -> (usize, usize) {
        let facts = locked(&self.facts);
        (facts.len(), facts.iter().filter(|facts| facts.end.is_none()).count())
    }

    /// Notes something that makes the test fail at its end.
    pub(super) fn fail(&self, text: String) {
        locked(&self.failures).push(text);
    }

    /// What makes the test fail at its end.
    pub(super) fn failures(&self) -> Vec<String> {
        let mut failures = locked(&self.failures).clone();
        failures.extend(locked(&self.rules).unmet(|id| self.of(id)));
        failures
    }

    /// What runs for an invocation that has come through the interceptors.
    fn plan(&self, number: usize, call: &Invocation) -> Plan {
        let facts = {
            let facts = &mut locked(&self.facts)[number];
            // An interceptor may have put in something else.
            facts.data = call.data().clone();
            facts.clone()
        };
        let When { before, instead, failure } = locked(&self.rules).when(&facts);
        locked(&self.facts)[number].mocked = instead.is_some();
        if let Some(failure) = failure {
            self.fail(failure);
        }
        Plan { before, instead }
    }

    fn ended(&self, number: usize, result: Result<Option<Payload>, Error>) {
        let end = End { at: self.clock.now(), result: result.map_err(Arc::new) };
        locked(&self.facts)[number].end = Some(end);
    }
}

impl Facts {
    /// The invocation once more, for those who read its input.
    pub(super) fn invocation(&self) -> Invocation {
        Invocation::new(InvocationParts {
            context: self.context.clone(),
            data: self.data.clone(),
            metadata: self.metadata.clone(),
            request_parts: self.request_parts,
            resources: Arc::default(),
            session: None,
        })
    }

    /// The input as the function took it.
    pub(super) fn input<I: Input>(&self) -> Result<I> {
        input(self.invocation())
    }
}

/// The input of an invocation. A function without payload has `()`, whatever it is sent.
pub(super) fn input<I: Input>(mut invocation: Invocation) -> Result<I> {
    if TypeId::of::<I>() == TypeId::of::<()>() {
        let nothing = InvocationParts {
            context: Context::test(),
            data: Payload::null(),
            metadata: None,
            request_parts: RequestParts::NONE,
            resources: Arc::default(),
            session: None,
        };
        return I::from_invocation(&mut Invocation::new(nothing));
    }
    I::from_invocation(&mut invocation)
}

impl Watch for Recorder {
    fn serves(&self, function_id: &FunctionId) -> bool {
        locked(&self.rules).answers(function_id)
    }

    fn begin(&self, begun: Begun<'_>) -> Watched {
        let facts = Facts {
            context: begun.context.clone(),
            data: begun.data.clone(),
            metadata: begun.metadata.cloned(),
            request_parts: begun.request_parts,
            mocked: false,
            began: self.clock.now(),
            end: None,
        };
        let ending = Ending {
            recorder: self.this.clone(),
            number: {
                let mut all = locked(&self.facts);
                all.push(facts);
                all.len() - 1
            },
            heard: false,
        };
        let (recorder, number) = (self.this.clone(), ending.number);
        Watched {
            plan: Box::new(move |call| {
                recorder
                    .upgrade()
                    .map_or_else(Plan::default, |recorder| recorder.plan(number, call))
            }),
            ended: Box::new(move |ended| ending.hear(&ended)),
        }
    }
}

/// Notes the end of one invocation, also if it was dropped.
struct Ending {
    recorder: Weak<Recorder>,
    number: usize,
    heard: bool,
}

impl Ending {
    fn hear(mut self, ended: &Ended<'_>) {
        self.heard = true;
        let Some(recorder) = self.recorder.upgrade() else { return };
        let panic = ended.panic.map(|text| {
            let place = panics::take_place();
            let place = place.as_deref().unwrap_or("a place that is not known");
            let text = format!("panicked at {place}: {text}");
            let (id, mocked) = {
                let facts = &locked(&recorder.facts)[self.number];
                (facts.context.function_id.clone(), facts.mocked)
            };
            if mocked {
                // Whoever called it, or ran around it, may have swallowed the error.
                recorder.fail(format!("the mock of `{id}` {text}"));
            }
            Error::new(code::PANIC, text)
        });
        let result = match (ended.result, panic) {
            (Ok(reply), _) => Ok(reply.result()),
            (Err(error), Some(panic)) if error.code() == code::PANIC => Err(panic),
            (Err(error), _) => Err(copy(error)),
        };
        recorder.ended(self.number, result);
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if self.heard {
            return;
        }
        if let Some(recorder) = self.recorder.upgrade() {
            let text = "the invocation was ended before it was done";
            recorder.ended(self.number, Err(Error::new(code::SHUTTING_DOWN, text)));
        }
    }
}

/// An error as it is told to callers, with its causes in the text.
fn copy(error: &Error) -> Error {
    let mut body = error.to_body();
    if let Some(cause) = std::error::Error::source(error) {
        body.message = format!("{}: {}", body.message, report::causes(cause));
    }
    Error::from(body)
}

//! What a test says about functions: who stands in for them, how often they must be called, what fails or waits.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::record::Facts;
use super::report;
use crate::extract::Invocation;
use crate::output::HandlerFuture;
use iii_wire::protocol::FunctionId;
use iii_wire::{Error, Result, code};

/// Runs in place of a handler.
pub(super) type Answer = Arc<dyn Fn(Invocation) -> HandlerFuture + Send + Sync>;
/// Looks at the input.
pub(super) type Matches = Arc<dyn Fn(Invocation) -> bool + Send + Sync>;

/// What a test says about functions.
#[derive(Default)]
pub(super) struct Rules {
    mocks: HashMap<FunctionId, Answer>,
    expected: Vec<Expected>,
    failing: HashMap<FunctionId, VecDeque<Error>>,
    delays: HashMap<FunctionId, Duration>,
}

/// A call that must happen.
pub(super) struct Expected {
    function_id: FunctionId,
    place: &'static Location<'static>,
    pub(super) matches: Option<Matches>,
    pub(super) answer: Option<Answer>,
    pub(super) times: Times,
    count: usize,
}

/// How often a call is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    least: usize,
    most: usize,
}

impl Times {
    /// Exactly once.
    pub(super) const ONCE: Self = Self { least: 1, most: 1 };
}

impl From<usize> for Times {
    /// Exactly so often.
    fn from(count: usize) -> Self {
        Self { least: count, most: count }
    }
}

impl From<std::ops::Range<usize>> for Times {
    fn from(range: std::ops::Range<usize>) -> Self {
        Self { least: range.start, most: range.end.saturating_sub(1) }
    }
}

impl From<std::ops::RangeInclusive<usize>> for Times {
    fn from(range: std::ops::RangeInclusive<usize>) -> Self {
        Self { least: *range.start(), most: *range.end() }
    }
}

impl From<std::ops::RangeFrom<usize>> for Times {
    /// At least so often.
    fn from(range: std::ops::RangeFrom<usize>) -> Self {
        Self { least: range.start, most: usize::MAX }
    }
}

impl From<std::ops::RangeToInclusive<usize>> for Times {
    /// At most so often.
    fn from(range: std::ops::RangeToInclusive<usize>) -> Self {
        Self { least: 0, most: range.end }
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.least, self.most) {
            (0, 0) => write!(f, "never"),
            (1, 1) => write!(f, "once"),
            (least, most) if least == most => write!(f, "{least} times"),
            (least, usize::MAX) => write!(f, "at least {least} times"),
            (0, most) => write!(f, "at most {most} times"),
            (least, most) => write!(f, "{least} to {most} times"),
        }
    }
}

/// What is to happen with an invocation.
pub(super) struct When {
    pub(super) before: Option<BoxFuture<'static, Result<()>>>,
    pub(super) instead: Option<Box<dyn FnOnce(Invocation) -> HandlerFuture + Send>>,
    /// What makes the test fail.
    pub(super) failure: Option<String>,
}

impl Rules {
    /// Lets `answer` run in place of a function, and of an earlier mock of it.
    pub(super) fn mock(&mut self, id: &FunctionId, answer: Answer) {
        self.mocks.insert(id.clone(), answer);
    }

    /// Expects a call. The number by which [`Rules::expected`] finds it.
    pub(super) fn expect(&mut self, id: &FunctionId, place: &'static Location<'static>) -> usize {
        self.expected.push(Expected {
            function_id: id.clone(),
            place,
            matches: None,
            answer: None,
            times: Times::ONCE,
            count: 0,
        });
        self.expected.len() - 1
    }

    /// An expectation, to say more about it.
    pub(super) fn expected(&mut self, number: usize) -> &mut Expected {
        &mut self.expected[number]
    }

    /// Lets the next invocation of a function fail.
    pub(super) fn fail_next(&mut self, id: &FunctionId, error: Error) {
        self.failing.entry(id.clone()).or_default().push_back(error);
    }

    /// Lets all invocations of a function wait before they run.
    pub(super) fn delay(&mut self, id: &FunctionId, delay: Duration) {
        self.delays.insert(id.clone(), delay);
    }

    /// Whether something runs in place of a function.
    pub(super) fn answers(&self, id: &FunctionId) -> bool {
        let expected = |one: &Expected| one.function_id == *id && one.answer.is_some();
        self.mocks.contains_key(id) || self.expected.iter().any(expected)
    }

    /// The functions that something runs in place of, in order.
    pub(super) fn answered(&self) -> Vec<FunctionId> {
        let expected = self.expected.iter().filter(|one| one.answer.is_some());
        let mut all: Vec<FunctionId> =
            self.mocks.keys().chain(expected.map(|one| &one.function_id)).cloned().collect();
        all.sort();
        all.dedup();
        all
    }

    /// What is to happen with an invocation that begins.
    pub(super) fn when(&mut self, facts: &Facts) -> When {
        let id = &facts.context.function_id;
        let error = self.failing.get_mut(id).and_then(VecDeque::pop_front);
        let delay = self.delays.get(id).copied().filter(|delay| !delay.is_zero());
        let before = (error.is_some() || delay.is_some()).then(|| -> BoxFuture<'static, _> {
            Box::pin(async move {
                if let Some(delay) = delay {
                    tokio::time::sleep(delay).await;
                }
                error.map_or(Ok(()), Err)
            })
        });
        let mut failure = None;
        let mut fits = Vec::new();
        for (number, one) in self.expected.iter().enumerate() {
            if one.function_id != *id {
                continue;
            }
            match one.fits(facts) {
                Ok(true) => fits.push(number),
                Ok(false) => {}
                Err(text) => failure = Some(text),
            }
        }
        // The first that wants more; if none does, the last one is called too often.
        let open =
            fits.iter().copied().find(|n| self.expected[*n].count < self.expected[*n].times.most);
        let mut answer = self.mocks.get(id).cloned();
        if let Some(number) = open.or(fits.last().copied()) {
            let one = &mut self.expected[number];
            one.count += 1;
            answer = one.answer.clone().or(answer);
        } else if failure.is_none() && answer.is_none() && self.answers(id) {
            let text = format!(
                "a call of `{id}` fits no expectation: it took {}",
                report::short(&facts.data)
            );
            let error = Error::new(code::UNEXPECTED_CALL, text.clone());
            failure = Some(text);
            let error = std::sync::Mutex::new(Some(error));
            answer = Some(Arc::new(move |_| {
                let error = super::locked(&error).take();
                Box::pin(async move { Err(error.expect("it is asked once")) })
            }));
        }
        When {
            before,
            instead: answer.map(|answer| -> Box<dyn FnOnce(Invocation) -> HandlerFuture + Send> {
                Box::new(move |invocation| answer(invocation))
            }),
            failure,
        }
    }

    /// The expectations that were not met, for people. `calls` gives the calls of a function.
    pub(super) fn unmet(&self, calls: impl Fn(&str) -> Vec<Facts>) -> Vec<String> {
        let unmet = self
            .expected
            .iter()
            .filter(|one| one.count < one.times.least || one.count > one.times.most);
        unmet
            .map(|one| {
                let counted = match one.count {
                    0 => "was not called".to_owned(),
                    1 => "was called once".to_owned(),
                    count => format!("was called {count} times"),
                };
                let with =
                    if one.matches.is_some() { " with the input that is wanted" } else { "" };
                let calls = calls(&one.function_id);
                let seen = match calls.as_slice() {
                    [] => "\n   there was no call of it at all".to_owned(),
                    calls => format!("\n   its calls were:\n{}", report::list(calls)),
                };
                format!(
                    "`{}` was to be called {}{with}, and {counted}\n   expected at {}{seen}",
                    one.function_id, one.times, one.place
                )
            })
            .collect()
    }
}

impl Expected {
    /// Whether a call is one of those that are expected.
    fn fits(&self, facts: &Facts) -> Result<bool, String> {
        let Some(matches) = &self.matches else { return Ok(true) };
        catch_unwind(AssertUnwindSafe(|| matches(facts.invocation()))).map_err(|_| {
            let place = super::panics::take_place().unwrap_or_default();
            let Self { function_id, place: expected, .. } = self;
            format!("the condition of the expectation of `{function_id}` at {expected} panicked at {place}")
        })
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("mocks", &self.mocks.len())
            .field("expected", &self.expected.len())
            .finish_non_exhaustive()
    }
}

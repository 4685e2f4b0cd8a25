//! Standing in for functions, and expecting calls of them.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::{Arc, Mutex};

use serde::Serialize;

use super::record::input;
use super::rules::{Answer, Times};
use super::{Harness, locked};
use crate::extract::Input;
use crate::function::Function;
use crate::output::Reply;
use iii_wire::protocol::{FunctionId, Payload};
use iii_wire::{Error, Result, code};

impl Harness {
    /// Lets a closure run in place of a function: one of another worker, or one of the worker under test, with all its
    /// triggers. A later mock of the function takes the place of an earlier one.
    ///
    /// A panic in the closure makes the test fail at its end, also if the caller of the function has swallowed the error.
    ///
    /// A function that an HTTP endpoint serves is mocked in the same way; its endpoint is not called then.
    ///
    /// A function of another worker needs a type. Until one is generated, write it by hand:
    ///
    /// ```
    /// use iii::prelude::*;
    ///
    /// /// Takes money, in the worker `payments`.
    /// struct Charge;
    ///
    /// impl iii::Function for Charge {
    ///     const ID: &'static str = "payments::charge";
    ///     type Input = u64;
    ///     type Output = String;
    /// }
    ///
    /// #[iii::function(id = "doc::buy")]
    /// async fn buy(cents: u64, client: Client) -> iii::Result<String> {
    ///     client.call::<Charge>(cents).await
    /// }
    ///
    /// # iii::testing::Test::new("doc").only::<buy>().run(|iii| async move {
    /// iii.mock::<Charge>(|cents| Ok(format!("receipt for {cents}")));
    /// assert_eq!(iii.call::<buy>(5).await.unwrap(), "receipt for 5");
    /// # });
    /// ```
    pub fn mock<F: Function>(
        &self,
        answer: impl FnMut(F::Input) -> Result<F::Output> + Send + 'static,
    ) where
        F::Input: Input,
        F::Output: Serialize,
    {
        self.mock_with(F::ID.into(), typed::<F>(answer));
    }

    /// As [`Harness::mock`], with a closure that gives a future. The second type is that of the future:
    /// `iii.mock_async::<charge, _>(async |input| …)`.
    pub fn mock_async<F: Function, R>(&self, answer: impl Fn(F::Input) -> R + Send + Sync + 'static)
    where
        F::Input: Input,
        F::Output: Serialize,
        R: Future<Output = Result<F::Output>> + Send + 'static,
    {
        let answer = Arc::new(answer);
        self.mock_with(
            F::ID.into(),
            Arc::new(move |invocation| {
                let answer = answer.clone();
                Box::pin(async move { reply(&answer(input(invocation)?).await?) })
            }),
        );
    }

    /// As [`Harness::mock`], by the id of the function and with raw JSON.
    pub fn mock_raw(
        &self,
        function_id: impl Into<FunctionId>,
        answer: impl FnMut(Payload) -> Result<Payload> + Send + 'static,
    ) {
        let answer = Mutex::new(answer);
        self.mock_with(
            function_id.into(),
            Arc::new(move |invocation| {
                let given = (*locked(&answer))(invocation.data().clone());
                Box::pin(async move { given.map(Reply::json) })
            }),
        );
    }

    /// Expects that a function is called: once, unless [`Expectation::times`] says how often. Checked at the end of the
    /// test.
    ///
    /// ```
    /// # use iii::prelude::*;
    /// # #[iii::function(id = "doc::charge")]
    /// # async fn charge(cents: u64) -> String { cents.to_string() }
    /// # #[iii::function(id = "doc::buy")]
    /// # async fn buy(cents: u64, client: Client) -> iii::Result<String> {
    /// #     client.call::<charge>(cents).await
    /// # }
    /// # iii::testing::Test::new("doc").run(|iii| async move {
    /// iii.expect_call::<charge>()
    ///     .with(|cents| *cents == 5)
    ///     .times(1..=2)
    ///     .returning(|_| Ok("receipt".to_owned()));
    /// assert_eq!(iii.call::<buy>(5).await.unwrap(), "receipt");
    /// # });
    /// ```
    #[track_caller]
    pub fn expect_call<F: Function>(&self) -> Expectation<F> {
        let id = FunctionId::from(F::ID);
        let number = locked(&self.inner.recorder.rules).expect(&id, Location::caller());
        Expectation { harness: self.clone(), number, function: PhantomData }
    }

    fn mock_with(&self, id: FunctionId, answer: Answer) {
        locked(&self.inner.recorder.rules).mock(&id, answer);
        self.serve(&id);
    }
}

/// A call that is expected. Made by [`Harness::expect_call`].
///
/// Of several expectations of one function, the first that fits and wants more takes a call. A call that fits none of
/// them fails with `unexpected_call`, and so does the test, if one of them says what to return.
pub struct Expectation<F> {
    harness: Harness,
    number: usize,
    function: PhantomData<fn() -> F>,
}

impl<F: Function> Expectation<F> {
    /// Only calls whose input the closure likes.
    pub fn with(self, likes: impl Fn(&F::Input) -> bool + Send + Sync + 'static) -> Self
    where
        F::Input: Input,
    {
        let matches =
            move |invocation| input(invocation).is_ok_and(|input: F::Input| likes(&input));
        let mut rules = locked(&self.harness.inner.recorder.rules);
        rules.expected(self.number).matches = Some(Arc::new(matches));
        drop(rules);
        self
    }

    /// Only calls with an input that is equal, compared as JSON.
    pub fn with_input(self, wanted: &F::Input) -> Self
    where
        F::Input: Input + Serialize,
    {
        let json = |input: &F::Input| serde_json::to_value(input).ok();
        let wanted = json(wanted);
        self.with(move |input| json(input) == wanted)
    }

    /// How often: `2`, `1..=3`, `1..`, `..=2`. Default: once.
    pub fn times(self, times: impl Into<Times>) -> Self {
        locked(&self.harness.inner.recorder.rules).expected(self.number).times = times.into();
        self
    }

    /// Not at all.
    pub fn never(self) -> Self {
        self.times(0)
    }

    /// Runs in place of the function, like [`Harness::mock`]. Without it, the function itself runs, or its mock.
    pub fn returning(
        self,
        answer: impl FnMut(F::Input) -> Result<F::Output> + Send + 'static,
    ) -> Self
    where
        F::Input: Input,
        F::Output: Serialize,
    {
        let answer = typed::<F>(answer);
        locked(&self.harness.inner.recorder.rules).expected(self.number).answer = Some(answer);
        self.harness.serve(&F::ID.into());
        self
    }
}

impl<F: Function> fmt::Debug for Expectation<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expectation").field("function", &F::ID).finish_non_exhaustive()
    }
}

fn typed<F: Function>(answer: impl FnMut(F::Input) -> Result<F::Output> + Send + 'static) -> Answer
where
    F::Input: Input,
    F::Output: Serialize,
{
    let answer = Mutex::new(answer);
    Arc::new(move |invocation| {
        let given = input(invocation)
            .and_then(|input| (*locked(&answer))(input))
            .and_then(|output| reply(&output));
        Box::pin(async move { given })
    })
}

fn reply(output: &impl Serialize) -> Result<Reply> {
    let output = Payload::new(output).map_err(|error| {
        Error::new(code::INTERNAL, format!("what the mock returns is no JSON: {error}"))
    })?;
    Ok(Reply::json(output))
}

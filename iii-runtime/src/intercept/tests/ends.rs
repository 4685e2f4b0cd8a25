//! Each way in which an invocation ends, as interceptors see it.

use super::*;
use crate::intercept::{Timeout, from_fn};

#[iii::function(id = "ends::panics", intercept = [Tells("outer"), Tells("inner")])]
async fn panics() {
    panic!("on purpose");
}

#[iii::test(only(panics))]
async fn a_panic_of_the_function_is_an_error(iii: Harness) {
    let story = iii.provide(Story::default());
    assert_eq!(iii.call::<panics>(()).await.unwrap_err().code(), iii::code::PANIC);
    let lines = ["outer begins", "inner begins", "inner ends: panic", "outer ends: panic"];
    assert_eq!(story.take(), lines);
    let calls = iii.calls::<panics>().await;
    let text = calls[0].error().unwrap().message();
    assert!(text.starts_with("panicked at ") && text.ends_with("on purpose"), "{text}");
}

async fn panics_itself(_call: Invocation, _next: Next) -> Result<Reply> {
    panic!("in between");
}

/// Puts a reply in the place of any error.
async fn calm(call: Invocation, next: Next) -> Result<Reply> {
    use crate::output::Output as _;
    next.run(call).await.or_else(|error| error.code().to_owned().into_reply())
}

#[iii::function(id = "ends::between", intercept = [from_fn(calm), Tells("outer"), from_fn(panics_itself)])]
async fn between() -> String {
    "never".to_owned()
}

#[iii::test(only(between))]
async fn a_panic_of_an_interceptor_is_an_error_further_out(iii: Harness) {
    let story = iii.provide(Story::default());
    assert_eq!(iii.call::<between>(()).await.unwrap(), "panic");
    assert_eq!(story.take(), ["outer begins", "outer ends: panic"]);
    assert_eq!(iii.calls::<between>().await[0].output(), "panic");
}

/// Waits before the function, and after it.
fn waits(before: u64, after: u64) -> impl Interceptor {
    from_fn(move |call: Invocation, next: Next| async move {
        let story: Arc<Story> = call.resources().get().unwrap();
        tokio::time::sleep(Duration::from_millis(before)).await;
        let result = next.run(call).await;
        tokio::time::sleep(Duration::from_millis(after)).await;
        story.tell("waited");
        result
    })
}

#[iii::function(id = "ends::slow", timeout = "2s", intercept = [Tells("outer"), waits(0, 400), Tells("inner")])]
async fn slow(job: Job, story: State<Story>) -> u64 {
    work(job, story).await
}

#[iii::function(id = "ends::slow_before", timeout = "2s", intercept = [Tells("outer"), waits(9000, 0), Tells("inner")])]
async fn slow_before() {}

#[iii::function(id = "ends::slow_after", timeout = "2s", intercept = [Tells("outer"), waits(0, 9000), Tells("inner")])]
async fn slow_after() {}

#[iii::test(only(slow, slow_before, slow_after))]
async fn a_deadline_ends_what_is_innermost_and_the_others_see_it(iii: Harness) {
    let story = iii.provide(Story::default());
    let began = iii.now();
    let error = iii.call::<slow>(Job::of("a", 60)).await.unwrap_err();
    assert_eq!((error.code(), error.status()), (iii::code::TIMEOUT, 504));
    assert_eq!(error.message(), "the function took longer than 2s");
    // Whoever is on the way out still has time.
    assert_eq!(iii.now(), began + Duration::from_millis(2400));
    let lines = [
        "outer begins",
        "inner begins",
        "a runs",
        "inner ends: timeout",
        "waited",
        "outer ends: timeout",
    ];
    assert_eq!(story.take(), lines);

    let began = iii.now();
    assert_eq!(iii.call::<slow_before>(()).await.unwrap_err().code(), iii::code::TIMEOUT);
    assert_eq!(iii.now(), began + Duration::from_secs(2));
    assert_eq!(story.take(), ["outer begins", "outer ends: timeout"]);

    let began = iii.now();
    assert_eq!(iii.call::<slow_after>(()).await.unwrap_err().code(), iii::code::TIMEOUT);
    assert_eq!(iii.now(), began + Duration::from_millis(2500));
    let lines = ["outer begins", "inner begins", "inner ends: ok", "outer ends: timeout"];
    assert_eq!(story.take(), lines);
}

#[iii::function(
    id = "ends::limited",
    timeout = "10s",
    intercept = [Tells("outer"), Timeout::after(2 * SECOND), Tells("inner"), Timeout::after(5 * SECOND)],
)]
async fn limited(job: Job, context: Context, story: State<Story>) -> u64 {
    assert_eq!(context.time_left(), Some(2 * SECOND));
    work(job, story).await
}

#[iii::test(only(limited))]
async fn the_nearest_of_several_limits_holds(iii: Harness) {
    let story = iii.provide(Story::default());
    assert_eq!(iii.call::<limited>(Job::of("a", 1)).await.unwrap(), 1);
    story.take();
    let began = iii.now();
    let error = iii.call::<limited>(Job::of("a", 3)).await.unwrap_err();
    assert_eq!(error.message(), "the function took longer than 2s");
    assert_eq!(iii.now(), began + 2 * SECOND);
    let lines =
        ["outer begins", "inner begins", "a runs", "inner ends: timeout", "outer ends: timeout"];
    assert_eq!(story.take(), lines);
}

/// Gives up on what is further in.
async fn gives_up(call: Invocation, next: Next) -> Result<Reply> {
    match tokio::time::timeout(SECOND, next.run(call)).await {
        Ok(result) => result,
        Err(_) => Err(iii::Error::new("t/given-up", "too long")),
    }
}

#[iii::function(id = "ends::given_up", intercept = [Tells("outer"), from_fn(gives_up)])]
async fn given_up(job: Job, story: State<Story>) -> u64 {
    work(job, story).await
}

#[iii::test(only(given_up))]
async fn an_interceptor_may_drop_the_rest(iii: Harness) {
    let story = iii.provide(Story::default());
    assert_eq!(iii.call::<given_up>(Job::of("a", 9)).await.unwrap_err().code(), "t/given-up");
    assert_eq!(story.take(), ["outer begins", "a runs", "outer ends: t/given-up"]);
}

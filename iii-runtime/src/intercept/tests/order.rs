//! Which interceptor runs around which, how often they are made, and what they hand on.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::extract::Extract;
use crate::intercept::from_fn;
use crate::testing::Test;

static MADE: AtomicUsize = AtomicUsize::new(0);

/// Counts how often the list is made.
fn counted() -> Tells {
    MADE.fetch_add(1, Ordering::Relaxed);
    Tells("function 1")
}

#[iii::function(id = "order::one", intercept = [counted(), Tells("function 2")])]
async fn one(story: State<Story>) {
    story.tell("the function");
}

#[iii::function(id = "order::other")]
async fn other(story: State<Story>) {
    story.tell("the other function");
}

async fn two_of_the_app(app: &mut App) -> Result<()> {
    app.intercept(Tells("app 1")).intercept(Tells("app 2").except::<other>());
    Ok(())
}

#[iii::test(only(one, other), setup = two_of_the_app)]
async fn those_of_the_app_are_around_those_of_the_function(iii: Harness) {
    let story = iii.provide(Story::default());
    let before = MADE.load(Ordering::Relaxed);
    for _ in 0..2 {
        iii.call::<one>(()).await.unwrap();
        let lines = [
            "app 1 begins",
            "app 2 begins",
            "function 1 begins",
            "function 2 begins",
            "the function",
            "function 2 ends: ok",
            "function 1 ends: ok",
            "app 2 ends: ok",
            "app 1 ends: ok",
        ];
        assert_eq!(story.take(), lines);
    }
    iii.call::<other>(()).await.unwrap();
    assert_eq!(story.take(), ["app 1 begins", "the other function", "app 1 ends: ok"]);
    // The test starts the app at its first step, so once.
    assert!(MADE.load(Ordering::Relaxed) - before <= 1);
}

/// Who asks.
struct User(String);

async fn authenticate(mut call: Invocation, next: Next) -> Result<Reply> {
    let headers = Headers::extract(&mut call).await?;
    let name = headers.get("x-user").map(str::to_owned);
    let Some(name) = name else {
        return Err(iii::Error::new("auth/missing", "send x-user").with_status(401));
    };
    call.insert(User(name));
    next.run(call).await
}

#[iii::function(id = "order::whoami", intercept = [from_fn(authenticate)])]
#[iii::trigger(http, path = "/whoami/:greeting")]
async fn whoami(user: Extension<User>, greeting: Path<String>) -> String {
    format!("{}, {}", greeting.0, user.0.0)
}

#[iii::function(id = "order::nobody")]
async fn nobody(user: Extension<User>) -> String {
    user.0.0.clone()
}

#[iii::test(only(whoami, nobody))]
async fn a_value_of_an_interceptor_reaches_the_function(iii: Harness) {
    let answer = iii.http().get("/whoami/hello").send().await;
    assert_eq!(answer.status(), 401);
    assert_eq!(answer.json::<serde_json::Value>()["error"]["code"], "auth/missing");
    let answer = iii.http().get("/whoami/hello").header("x-user", "Ada").send().await;
    assert_eq!((answer.status(), answer.text()), (200, r#""hello, Ada""#));
    let error = iii.call::<nobody>(()).await.unwrap_err();
    assert_eq!(error.code(), iii::code::EXTENSION_MISSING);
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct New {
    cents: u64,
}

/// Reads the older form of the payload as well, and refuses what is too much.
async fn upgrade(mut call: Invocation, next: Next) -> Result<Reply> {
    #[derive(Deserialize)]
    struct Old {
        euros: u64,
    }
    if let Ok(old) = call.data().parse::<Old>() {
        call.set_data(Payload::new(&New { cents: old.euros * 100 })?);
    }
    if call.input::<New>()?.cents > 1000 {
        return crate::Created(0).into_reply();
    }
    next.run(call).await
}

use crate::output::Output as _;

#[iii::function(id = "order::pay", intercept = [from_fn(upgrade)])]
#[iii::trigger(http, method = "POST", path = "/pay")]
async fn pay(new: New) -> u64 {
    new.cents
}

#[iii::test(only(pay))]
async fn an_interceptor_reads_and_replaces_the_payload(iii: Harness) {
    assert_eq!(iii.call::<pay>(New { cents: 7 }).await.unwrap(), 7);
    let euros = serde_json::json!({"euros": 5});
    assert_eq!(iii.call_raw::<u64>("order::pay", &euros).await.unwrap(), 500);
    // The call is on record as the function took it.
    assert_eq!(iii.calls::<pay>().await[1].input(), New { cents: 500 });
    let error = iii.call_raw::<u64>("order::pay", &"x").await.unwrap_err();
    assert_eq!(error.code(), iii::code::INVALID_PAYLOAD);
    // A reply without the function.
    let answer = iii.http().post("/pay").json(&New { cents: 1001 }).send().await;
    assert_eq!((answer.status(), answer.text()), (201, "0"));
}

#[iii::function(
    id = "order::wrong",
    intercept = [iii::intercept::RateLimit::per_second(0), iii::intercept::Deduplicate::while_running("key")],
)]
async fn wrong() {}

#[test]
fn interceptors_that_cannot_be_used_are_in_the_report_of_the_start() {
    let mut app = App::new();
    app.function::<wrong>().intercept(iii::intercept::Timeout::after(Duration::ZERO));
    let text = app.catalogue().unwrap_err().to_string();
    assert!(text.contains("3 problems"), "{text}");
    for part in ["`Timeout::after`", "`RateLimit`", "`key` is no JSON Pointer", "tests/order.rs:"] {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
}

#[test]
fn the_catalogue_shows_what_runs_around_a_function() {
    let mut app = App::new();
    app.function::<one>().intercept(Tells("app"));
    let catalogue = app.catalogue().unwrap_err().to_string();
    assert!(catalogue.contains("is not provided"), "{catalogue}");
    app.state(Story::default());
    let catalogue = app.catalogue().unwrap();
    let interceptors = &catalogue.get("order::one").unwrap().interceptors;
    assert_eq!(interceptors.len(), 3);
    assert!(interceptors[0].name().ends_with("Tells"), "{interceptors:?}");
}

/// One that all of several functions share.
static SHARED: std::sync::LazyLock<Arc<iii::intercept::ConcurrencyLimit>> =
    std::sync::LazyLock::new(|| Arc::new(iii::intercept::ConcurrencyLimit::new(1).reject()));

#[iii::function(id = "order::left", intercept = [SHARED.clone()])]
async fn left(job: Job, story: State<Story>) -> u64 {
    work(job, story).await
}

#[iii::function(id = "order::right", intercept = [SHARED.clone()])]
async fn right() {}

#[test]
fn functions_may_share_one() {
    Test::new("t").only::<left>().only::<right>().run(|iii| async move {
        iii.provide(Story::default());
        iii.send::<left>(Job::of("a", 5)).await.unwrap();
        iii.settle().await;
        assert_eq!(iii.call::<right>(()).await.unwrap_err().code(), iii::code::OVERLOADED);
        iii.advance(5 * SECOND).await;
        iii.call::<right>(()).await.unwrap();
    });
}

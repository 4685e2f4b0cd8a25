//! Functions that HTTP endpoints serve: mocked under virtual time, checked at the start.

use super::failed;
use crate::prelude::*;
use crate::testing::Test;
use crate::{App, code};

/// Only sent: the endpoint reads it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(super) struct Charge {
    cents: u64,
}

/// Sent and, in tests, read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Refund {
    cents: u64,
}

/// Only received.
#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
pub(super) struct Slip {
    number: String,
}

/// Takes money.
#[iii::http_function(id = "te::charge", url = "https://pay.test/charge", metadata = "money")]
pub(super) async fn charge(charge: Charge) -> iii::Result<Slip>;

/// Gives money back, each night for all.
#[iii::http_function(
    id = "te::refund",
    url = env("III_TEST_NO_SUCH_URL"),
    timeout = "45s",
    auth = bearer("III_TEST_NOT_SET")
)]
#[iii::trigger(cron, "0 0 3 * * *")]
pub(super) async fn refund(refund: Refund) -> String;

/// Tells its address too late.
#[iii::http_function(id = "te::nowhere", url = String::from("ftp://s3cret.test"))]
pub(super) fn nowhere();

#[iii::function(id = "te::pay_back")]
pub(super) async fn pay_back(cents: u64, client: Client) -> iii::Result<String> {
    client.call::<refund>(Refund { cents }).await
}

/// Functions of a service may be served elsewhere, too.
#[iii::service(id = "te-bank")]
pub(super) mod bank {
    use super::Refund;

    #[iii::http_function(url = "https://bank.test/transfer", stub = Transfer)]
    pub(in super::super) fn transfer(refund: Refund);
}

#[iii::test(only(refund, pay_back))]
async fn an_endpoint_is_mocked_whatever_its_address(iii: Harness) {
    iii.mock::<refund>(|refund| Ok(format!("gave {}", refund.cents)));
    assert_eq!(iii.call::<pay_back>(5).await.unwrap(), "gave 5");
    let calls = iii.calls::<refund>().await;
    assert_eq!((calls.len(), calls[0].input()), (1, Refund { cents: 5 }));
    assert!(calls[0].is_mocked());
}

#[iii::test(only(refund, pay_back, bank::Transfer))]
async fn without_a_mock_it_says_what_to_do(iii: Harness) {
    let error = iii.call::<pay_back>(5).await.unwrap_err();
    assert_eq!(error.code(), code::FUNCTION_NOT_INVOKABLE);
    assert!(error.message().contains("`te::refund`") && error.message().contains("`iii.mock`"));
    // A mock may come late.
    iii.expect_call::<refund>().with_input(&Refund { cents: 6 }).returning(|_| Ok("six".into()));
    assert_eq!(iii.call::<pay_back>(6).await.unwrap(), "six");
    let error = iii.call_raw::<()>("te-bank::transfer", &Refund { cents: 1 }).await.unwrap_err();
    assert_eq!(error.code(), code::FUNCTION_NOT_INVOKABLE);
}

#[iii::test(only(refund))]
async fn triggers_call_an_endpoint(iii: Harness) {
    iii.mock_raw("te::refund", |_| Ok(Payload::null()));
    iii.advance_to("2026-01-05T03:00:00Z").await;
    let calls = iii.calls::<refund>().await;
    assert_eq!(calls.len(), 1);
    assert!(calls[0].input_raw().as_str().contains("scheduled_time"), "{calls:?}");
}

#[test]
fn a_catalogue_tells_what_is_sent_and_received() {
    let mut app = App::new();
    app.function::<charge>().function::<bank::Transfer>();
    let catalogue = app.catalogue().unwrap();
    let entry = catalogue.get("te::charge").unwrap();
    assert_eq!(entry.function.description, Some("Takes money."));
    assert!(entry.input_schema.as_ref().unwrap().as_str().contains("cents"));
    assert!(entry.output_schema.as_ref().unwrap().as_str().contains("number"));
    let endpoint = entry.endpoint.as_ref().unwrap();
    assert_eq!((endpoint.origin.as_str(), endpoint.method), ("https://pay.test", "POST"));
    let transfer = catalogue.get("te-bank::transfer").unwrap();
    assert!(transfer.output_schema.is_none());
    assert_eq!(catalogue.services()[0].id, "te-bank");
}

#[test]
fn addresses_that_the_start_does_not_find_are_in_the_report() {
    let mut app = App::new();
    app.function::<refund>().function::<nowhere>();
    let text = app.catalogue().unwrap_err().to_string();
    for part in [
        "have 2 problems",
        "`te::refund` cannot be used: the environment variable III_TEST_NO_SUCH_URL is not set",
        "`te::nowhere` cannot be used: the result of `url` has a scheme",
        "testing/tests/http_functions.rs:",
        "help: set III_TEST_NO_SUCH_URL",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("s3cret"), "{text}");
}

#[test]
fn in_real_time_the_address_must_be_there() {
    let text = failed(|| {
        Test::new("t").only::<refund>().real_time().run(|iii| async move {
            iii.settle().await;
        });
    });
    assert!(text.contains("III_TEST_NO_SUCH_URL"), "{text}");
}

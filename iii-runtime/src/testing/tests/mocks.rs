//! Standing in for functions, and expecting calls.

use super::failed;
use super::worker::*;
use crate::prelude::*;
use crate::testing::Test;

#[iii::test(only(buy))]
async fn functions_of_other_workers_are_mocked(iii: Harness) {
    let mut count = 0;
    iii.mock::<Charge>(move |cents| {
        count += 1;
        Ok(format!("{count}: {cents}"))
    });
    assert_eq!(iii.call::<buy>(5).await.unwrap(), "1: 5");
    assert_eq!(iii.call::<buy>(6).await.unwrap(), "2: 6");
    iii.mock::<Charge>(|_| Err(iii::Error::new("payments/broke", "no money")));
    assert_eq!(iii.call::<buy>(7).await.unwrap_err().code(), "payments/broke");
    let calls = iii.calls::<Charge>().await;
    assert_eq!((calls.len(), calls[1].input(), calls[1].output()), (3, 6, "2: 6".to_owned()));
    assert!(calls[0].is_mocked() && !iii.calls::<buy>().await[0].is_mocked());
}

#[iii::test(only(buy))]
async fn a_mock_may_come_late_wait_and_be_raw(iii: Harness) {
    let error = iii.call::<buy>(5).await.unwrap_err();
    assert_eq!(error.code(), iii::code::FUNCTION_NOT_FOUND);
    iii.mock_async::<Charge, _>(async |cents| {
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        Ok(cents.to_string())
    });
    assert_eq!(iii.call::<buy>(5).await.unwrap(), "5");
    assert_eq!(iii.now(), super::start() + std::time::Duration::from_secs(3));
    iii.mock_raw("payments::charge", |cents| Ok(Payload::new(&format!("raw {cents:?}")).unwrap()));
    assert_eq!(iii.call::<buy>(6).await.unwrap(), "raw 6");
}

#[iii::test(only(create, announce, greet))]
async fn a_mock_takes_the_place_of_a_declared_function_with_its_triggers(iii: Harness) {
    iii.provide(Stock::default());
    iii.mock::<announce>(|order| Ok(order.id + 100));
    iii.mock::<greet>(|request| Ok(format!("mocked {}", request.path_params["name"])));
    iii.call::<create>(NewOrder { sku: "tea".into(), quantity: 1 }).await.unwrap();
    assert_eq!(iii.calls::<announce>().await[0].output(), 101);
    assert_eq!(iii.http().get("/hello/Ada").send().await.text(), r#""mocked Ada""#);
}

#[iii::test(only(buy, double))]
async fn expectations_choose_by_input_and_count(iii: Harness) {
    iii.expect_call::<Charge>()
        .with(|cents| *cents < 10)
        .times(2)
        .returning(|_| Ok("small".into()));
    iii.expect_call::<Charge>().with_input(&50).returning(|cents| Ok(format!("big {cents}")));
    iii.expect_call::<double>().times(1..);
    iii.expect_call::<double>().with(|n| *n > 100).never();
    assert_eq!(iii.call::<buy>(5).await.unwrap(), "small");
    assert_eq!(iii.call::<buy>(50).await.unwrap(), "big 50");
    assert_eq!(iii.call::<buy>(6).await.unwrap(), "small");
    assert_eq!(iii.call::<double>(6).await.unwrap(), 12, "the function itself runs");
}

#[test]
fn an_expectation_that_is_not_met_fails_the_test() {
    let text = failed(|| {
        Test::new("t").only::<buy>().only::<double>().run(|iii| async move {
            iii.expect_call::<Charge>().returning(|_| Ok(String::new()));
            iii.expect_call::<double>().with(|n| *n == 3).times(2);
            iii.call::<double>(3).await.unwrap();
            iii.call::<double>(4).await.unwrap();
        });
    });
    assert!(
        text.contains("`payments::charge` was to be called once, and was not called"),
        "{text}"
    );
    assert!(text.contains("there was no call of it at all"), "{text}");
    let double =
        "`t::double` was to be called 2 times with the input that is wanted, and was called once";
    assert!(text.contains(double), "{text}");
    let line = "1. 2026-01-05T00:00:00Z t::double, took 3, gave 6";
    assert!(text.contains(line), "{text}");
    assert!(text.contains("testing/tests/mocks.rs"), "{text}");
}

#[test]
fn a_call_that_nobody_expects_fails_the_test() {
    let text = failed(|| {
        Test::new("t").only::<careless>().run(|iii| async move {
            iii.expect_call::<Charge>().with(|n| *n == 1).returning(|_| Ok("one".into()));
            assert_eq!(iii.call::<careless>(1).await.unwrap(), "one");
            assert_eq!(iii.call::<careless>(2).await.unwrap(), "");
        });
    });
    assert!(text.contains("a call of `payments::charge` fits no expectation: it took 2"), "{text}");
}

#[test]
fn a_panic_of_a_mock_fails_the_test_whoever_swallows_it() {
    let text = failed(|| {
        Test::new("t").only::<careless>().run(|iii| async move {
            iii.mock::<Charge>(|cents| panic!("{cents} is odd"));
            assert_eq!(iii.call::<careless>(1).await.unwrap(), "");
        });
    });
    assert!(text.contains("the mock of `payments::charge` panicked at "), "{text}");
    assert!(text.contains("tests/mocks.rs:") && text.contains("1 is odd"), "{text}");
}

#[test]
fn the_engine_is_not_mocked() {
    let text = failed(|| {
        Test::new("t").only::<double>().run(|iii| async move {
            iii.mock_raw("state::get", Ok);
            iii.settle().await;
        });
    });
    assert!(text.contains("`state::get` is a function of the engine"), "{text}");
}

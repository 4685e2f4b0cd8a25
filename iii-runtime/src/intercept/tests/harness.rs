//! What a test says of functions stands inside of their interceptors.

use super::*;
use crate::intercept::RateLimit;

#[iii::function(id = "harness::double", intercept = [Tells("outer"), RateLimit::per_minute(2)])]
async fn double(n: u32) -> u32 {
    n * 2
}

#[iii::test(only(double))]
async fn mocks_and_faults_are_inside_of_interceptors(iii: Harness) {
    let story = iii.provide(Story::default());
    iii.fail_next::<double>(iii::Error::new("t/broken", "no"));
    assert_eq!(iii.call::<double>(1).await.unwrap_err().code(), "t/broken");
    assert_eq!(story.take(), ["outer begins", "outer ends: t/broken"]);

    iii.mock::<double>(|n| Ok(n * 100));
    assert_eq!(iii.call::<double>(2).await.unwrap(), 200);
    let calls = iii.calls::<double>().await;
    assert!(calls[1].is_mocked());

    // What an interceptor ends is on record, and neither mocks nor faults hear of it.
    iii.fail_next::<double>(iii::Error::new("t/later", "no"));
    assert_eq!(iii.call::<double>(3).await.unwrap_err().code(), iii::code::RATE_LIMITED);
    let calls = iii.calls::<double>().await;
    assert!(!calls[2].is_mocked());
    assert_eq!(calls[2].error().unwrap().code(), iii::code::RATE_LIMITED);
    iii.advance(60 * SECOND).await;
    assert_eq!(iii.call::<double>(4).await.unwrap_err().code(), "t/later");
}

#[iii::test(only(double))]
async fn a_call_that_is_refused_meets_no_expectation(iii: Harness) {
    iii.provide(Story::default());
    iii.expect_call::<double>().times(2).returning(|_| Ok(7));
    assert_eq!(iii.call::<double>(1).await.unwrap(), 7);
    assert_eq!(iii.call::<double>(1).await.unwrap(), 7);
    assert_eq!(iii.call::<double>(1).await.unwrap_err().code(), iii::code::RATE_LIMITED);
}

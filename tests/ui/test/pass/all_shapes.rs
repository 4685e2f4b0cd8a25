//! Outside of a test run, nothing is left of a test, and nothing is missed.

#![deny(warnings)]

#[iii::function(id = "ui::double")]
async fn double(n: u32) -> u32 {
    n * 2
}

/// With what stands above it.
#[iii::test(only(double), start_time = "2026-01-05T09:00:00Z", setup = set_up)]
#[should_panic(expected = "why")]
#[ignore = "no reason"]
async fn with_options(iii: iii::testing::Harness) {
    panic!("why");
}

#[iii::test(real_time, link(serde), crate = ::iii)]
pub(crate) async fn with_other_options(mut _iii: iii::testing::Harness) {}

fn main() {}

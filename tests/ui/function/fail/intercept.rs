use std::time::Duration;

use iii::intercept::{RateLimit, Timeout};

/// It is not one.
struct Audit;

fn audit() -> RateLimit {
    RateLimit::per_second(1)
}

#[iii::function(id = "orders::type", intercept = [audit(), Audit, Timeout::after(Duration::ZERO)])]
async fn of_another_type() {}

#[iii::function(id = "orders::number", intercept = [5])]
async fn number() {}

#[iii::function(id = "orders::uncalled", intercept = [audit])]
async fn uncalled() {}

#[iii::function(id = "orders::argument", intercept = [Timeout::after(2)])]
async fn argument() {}

#[iii::function(id = "orders::missing", intercept = [audti()])]
async fn missing() {}

#[iii::function(id = "orders::closure", intercept = [iii::intercept::from_fn(|call, next| next)])]
async fn closure() {}

fn main() {}

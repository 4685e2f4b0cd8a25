#[iii::function(id = "cron::fields")]
#[iii::trigger(cron, "0 9 * * MON-FRI")]
async fn fields() {}

#[iii::function(id = "cron::hour")]
#[iii::trigger(cron, "0 0 25 * * *")]
async fn hour() {}

#[iii::function(id = "cron::day_zero")]
#[iii::trigger(cron, "0 0 9 * * 0")]
async fn day_zero() {}

#[iii::function(id = "cron::never")]
#[iii::trigger(cron, "0 0 0 30 2 *")]
async fn never() {}

#[iii::function(id = "cron::word")]
#[iii::trigger(cron, "@dayly")]
async fn word() {}

fn main() {}

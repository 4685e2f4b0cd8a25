#[iii::function(id = "orders::get")]
#[iii::trigger(http, path = "/orders/:id")]
#[iii::trigger(http, path = "/orders/:key")]
async fn get() {}

#[iii::function(id = "orders::report")]
#[iii::trigger(cron, "0 0 9 * * *")]
#[iii::trigger(cron, "0 0 9 * * *")]
async fn report() {}

fn main() {}

#[iii::function(id = "values::topic")]
#[iii::trigger(queue, topic = "")]
async fn topic() {}

#[iii::function(id = "values::mode")]
#[iii::trigger(queue, topic = "orders", mode = "filo")]
async fn mode() {}

#[iii::function(id = "values::backoff")]
#[iii::trigger(queue, topic = "orders", backoff = "1 parsec")]
async fn backoff() {}

#[iii::function(id = "values::retries")]
#[iii::trigger(queue, topic = "orders", max_retries = -1)]
async fn retries() {}

#[iii::function(id = "values::level")]
#[iii::trigger(log, level = "eror")]
async fn level() {}

#[iii::function(id = "values::method")]
#[iii::trigger(http, method = "PSOT", path = "/orders")]
async fn method() {}

#[iii::function(id = "values::changes")]
#[iii::trigger(configuration, changes = ["update"])]
async fn changes() {}

#[iii::function(id = "values::status")]
#[iii::trigger(trace, status = "failed")]
async fn status() {}

fn main() {}

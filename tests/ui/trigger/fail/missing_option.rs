#[iii::function(id = "orders::create")]
#[iii::trigger(http, method = "POST")]
async fn create() {}

#[iii::function(id = "orders::report")]
#[iii::trigger(cron)]
async fn report() {}

#[iii::function(id = "orders::work")]
#[iii::trigger(queue, mode = "fifo")]
async fn work() {}

#[iii::function(id = "orders::chat")]
#[iii::trigger(stream, group = "room")]
async fn chat() {}

fn main() {}

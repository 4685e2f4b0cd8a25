#[iii::function(id = "orders::get")]
#[iii::trigger(http, path = "/orders/:id")]
async fn get() {}

#[iii::function(id = "orders::find")]
#[iii::trigger(http, method = "get", path = "/orders/:key")]
async fn find() {}

fn main() {}

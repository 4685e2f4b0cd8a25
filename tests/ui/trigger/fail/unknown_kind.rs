#[iii::function(id = "orders::create")]
#[iii::trigger(htpp, path = "/orders")]
async fn create() {}

#[iii::function(id = "orders::get")]
#[iii::trigger(path = "/orders")]
async fn get() {}

fn main() {}

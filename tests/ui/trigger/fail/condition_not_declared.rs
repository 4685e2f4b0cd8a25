async fn is_open() -> bool {
    true
}

#[iii::function(id = "orders::create")]
#[iii::trigger(http, path = "/orders", condition = is_open)]
async fn create() {}

fn main() {}

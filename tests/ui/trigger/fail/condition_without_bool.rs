use iii::Payload;

#[iii::function(id = "orders::is_open")]
async fn is_open(_order: Payload) -> String {
    String::new()
}

#[iii::function(id = "orders::create")]
#[iii::trigger(http, path = "/orders", condition = is_open)]
async fn create() {}

fn main() {}

#[iii::function(id = "orders::create")]
async fn create(_order: Order) {}

fn main() {}

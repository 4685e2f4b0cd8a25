use iii::prelude::*;


#[derive(Deserialize)]
struct Order {}

#[iii::function(id = "orders::create")]
async fn create(_order: Vec<Order>) {}

fn main() {}

use iii::prelude::*;


#[derive(Deserialize, JsonSchema)]
struct Order {}

#[iii::function(id = "orders::create")]
async fn create(_order: Order, _context: Context, _name: Option<String>) {}

fn main() {}

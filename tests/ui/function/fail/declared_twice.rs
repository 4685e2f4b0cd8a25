#[iii::function(id = "orders::create")]
#[iii::function(id = "orders::make")]
async fn create() {}

fn main() {}

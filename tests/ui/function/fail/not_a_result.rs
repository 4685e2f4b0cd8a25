struct Order {}

#[iii::function(id = "orders::create")]
async fn create() -> iii::Result<Option<Order>> {
    Ok(None)
}

fn main() {}

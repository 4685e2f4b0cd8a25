#[derive(Debug)]
struct Order;

#[derive(Debug, iii::Error)]
enum OrderError {
    #[error(code = "orders/gone")]
    Gone { order: Vec<Order> },
}

#[iii::function(id = "orders::create")]
async fn create() -> Result<(), OrderError> {
    Ok(())
}

fn main() {}

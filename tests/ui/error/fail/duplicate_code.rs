#[derive(Debug, iii::Error)]
enum OrderError {
    #[error(code = "orders/gone")]
    Sold,
    #[error(code = "orders/gone")]
    Lost,
}

fn main() {}

#[derive(Debug, iii::Error)]
enum OrderError {
    OutOfStock,
    #[error(status = 404)]
    NotFound,
}

fn main() {}

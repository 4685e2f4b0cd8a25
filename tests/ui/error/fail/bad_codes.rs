#[derive(Debug, iii::Error)]
enum OrderError {
    #[error(code = "")]
    Empty,
    #[error(code = "Orders/NotFound")]
    Capitals,
    #[error(code = "orders//gone")]
    EmptyPart,
    #[error(code = "orders::gone")]
    Colons,
}

fn main() {}

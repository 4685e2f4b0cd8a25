#[derive(Debug, iii::Error)]
enum OrderError {
    #[error(code = "orders/status", status = 200)]
    Status,
    #[error(code = "orders/unknown", retriable = true)]
    Unknown,
    #[error(code = "orders/retryable", retryable = "yes")]
    Retryable,
    #[error(code = "orders/soon", retry_after = "soon")]
    Soon,
    #[error(code = "orders/never", retryable = false, retry_after = "30s")]
    Never,
    #[error(code = "orders/field", message = "no {skuu} left")]
    Field { sku: String },
    #[error(transparent)]
    Transparent { a: u8, b: u8 },
}

fn main() {}

#[derive(Debug, iii::Error)]
enum Generic<T> {
    #[error(code = "orders/gone")]
    Gone(T),
}

#[derive(iii::Error)]
union Union {
    code: u8,
}

impl std::fmt::Debug for Union {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}

fn main() {}

#[iii::function(id = "orders::argument")]
async fn argument(_order: impl Clone) {}

#[iii::function(id = "orders::result")]
async fn result() -> impl Clone {}

fn main() {}

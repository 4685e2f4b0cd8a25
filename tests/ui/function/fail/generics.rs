#[iii::function(id = "orders::types")]
async fn types<T>(_: T) {}

#[iii::function(id = "orders::consts")]
async fn consts<const N: usize>() {}

#[iii::function(id = "orders::lifetimes")]
async fn lifetimes<'a>() {}

fn main() {}

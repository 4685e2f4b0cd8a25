use std::borrow::Cow;

#[iii::function(id = "orders::reference")]
async fn reference(_name: &str) {}

#[iii::function(id = "orders::inside")]
async fn inside(_name: Option<&String>) {}

#[iii::function(id = "orders::lifetime")]
async fn lifetime(_name: Cow<'_, str>) {}

fn main() {}

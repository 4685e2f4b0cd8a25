#[iii::service(parent = plain)]
mod child {}

mod plain {}

fn main() {}

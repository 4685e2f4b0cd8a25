#[iii::service(parent = "self", id = "self")]
mod own {}

#[iii::service(parent = 7)]
mod number {}

#[iii::service(parent = "a b")]
mod blank {}

fn main() {}

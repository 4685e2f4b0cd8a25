#[iii::function(id = "create")]
async fn one_part() {}

#[iii::function(id = "orders/create")]
async fn slash() {}

#[iii::function(id = "orders.create")]
async fn dot() {}

#[iii::function(id = "orders::")]
async fn empty_part() {}

#[iii::function(id = "orders::créate")]
async fn letter() {}

#[iii::function(id = "engine::create")]
async fn reserved() {}

fn main() {}

#[iii::function]
async fn create() {}

#[iii::function("orders::get")]
async fn get() {}

#[iii::function(id = )]
async fn list() {}

#[iii::function(id = 7)]
async fn remove() {}

fn main() {}

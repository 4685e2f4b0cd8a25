#[iii::function(id = "orders::soon", timeout = "soon")]
async fn soon() {}

#[iii::function(id = "orders::number", timeout = 30)]
async fn number() {}

#[iii::function(id = "orders::at_once", timeout = "0s")]
async fn at_once() {}

#[iii::function(id = "orders::nobody", concurrency = 0)]
async fn nobody() {}

fn main() {}

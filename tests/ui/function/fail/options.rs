#[iii::function(id = "orders::create", tiemout = "30s")]
async fn create() {}

#[iii::function(id = "orders::get", retries = 3)]
async fn get() {}

#[iii::function(id = "orders::list", timeout = "1s", timeout = "2s")]
async fn list() {}

fn main() {}

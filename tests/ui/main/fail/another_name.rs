#[iii::main]
async fn start() {}


#[iii::main]
async fn main(_app: iii::App) {}

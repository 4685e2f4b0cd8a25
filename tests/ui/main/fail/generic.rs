#[iii::main]
async fn main<T>(_app: &mut iii::App) {}

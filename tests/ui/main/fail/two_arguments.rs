#[iii::main]
async fn main(_app: &mut iii::App, _name: String) {}

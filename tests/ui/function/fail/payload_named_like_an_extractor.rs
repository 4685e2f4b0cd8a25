use iii::{JsonSchema, schemars};

#[derive(serde::Deserialize, JsonSchema)]
struct State<T>(T);

#[iii::function(id = "orders::create")]
async fn create(_state: State<u8>) {}

fn main() {}

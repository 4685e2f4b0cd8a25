use iii::prelude::*;


use iii::Function;

#[derive(Serialize, Deserialize, JsonSchema)]
struct Order {}

// The id is wrong, but all that uses the function is right.
#[iii::function(id = "create")]
async fn create(order: Order, _names: State<Vec<String>>) -> iii::Result<bool> {
    drop(order);
    Ok(true)
}

#[iii::function(id = "orders::get")]
#[iii::trigger(queue, topic = "orders", condition = create)]
async fn get(_order: Order) {}

fn main() {
    let _: <create as Function>::Input = Order {};
    let _: <create as Function>::Output = true;
    drop(create(Order {}, State::new(Vec::new())));
}

use std::rc::Rc;

#[iii::function(id = "orders::create")]
async fn create() {
    let order = Rc::new(7);
    std::future::ready(()).await;
    drop(order);
}

fn main() {}

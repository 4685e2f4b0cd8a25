struct Orders;

impl Orders {
    #[iii::function(id = "orders::create")]
    async fn create(&self) {}
}

fn main() {}

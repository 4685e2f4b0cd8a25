mod orders {
    #[iii::function(id = "orders::create")]
    async fn create() {}
}

#[iii::function(id = "orders::create")]
async fn make() {}

fn main() {}

#[iii::service(id = "orders")]
mod orders {
    //! What is wrong in the user's code is shown there.

    #[iii::function]
    async fn create(order: Missing) -> u64 {
        let n: u64 = "text";
        n
    }
}

fn main() {}

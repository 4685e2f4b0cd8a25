#[iii::service(id = "a/b")]
mod slash {}

#[iii::service(id = 7)]
mod number {}

#[iii::service(nam = "Orders")]
mod option {}

#[iii::service]
struct NoModule;

#[iii::service(parent = NoModule)]
mod orphan {}

#[iii::service(parent = plain)]
mod child {}

mod plain {}

#[iii::service(id = "orders")]
mod orders {
    const ID: &str = "x";

    #[iii::function(id = "orders::create")]
    fn create() {}

    #[iii::function(id = ID)]
    fn constant() {}

    #[iii::function(id = "b c")]
    fn blank() {}

    #[iii::function(timeout = 5)]
    fn timeout() {}

    #[iii::function]
    fn twice() {}

    #[iii::function(id = "twice")]
    fn again() {}
}

fn main() {
    // What has a mistake is there all the same.
    let _ = (orders::create::ID, slash::x());
}

#[iii::service(id = "a/b")]
mod slash {}

#[iii::service(id = 7)]
mod number {}

#[iii::service(nam = "Orders")]
mod option {}

#[iii::service]
struct NoModule;

#[iii::service(id = "orders")]
mod orders {
    const ID: &str = "x";

    #[iii::function(id = "orders::create")]
    pub fn create() {}

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
    let _: &str = <orders::create as iii::Function>::ID;
    orders::create();
}

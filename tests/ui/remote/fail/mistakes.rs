#[iii::remote(prefx = "orders")]
trait Orders {
    fn no_id();
    #[remote(id = "orders/create")]
    fn bad_id();
    #[remote(id = "orders::two")]
    fn two(a: u8, b: u8);
    #[remote(id = "orders::method")]
    fn method(&self);
    #[remote(id = "orders::borrowed")]
    fn borrowed() -> &'static str;
    #[remote(id = "orders::body")]
    fn body() {}
}

#[iii::remote]
struct NoTrait;

fn main() {}

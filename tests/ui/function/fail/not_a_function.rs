#[iii::function(id = "orders::order")]
struct Order;

fn main() {}

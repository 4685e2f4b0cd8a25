use iii::Path;

#[iii::function(id = "orders::item")]
#[iii::trigger(http, path = "/orders/:order")]
async fn item(_path: Path<(u64, u64)>) {}

#[iii::function(id = "orders::all")]
#[iii::trigger(http, path = "/orders")]
async fn all(_path: iii::Path<u64>) {}

fn main() {}

#[iii::trigger(http, path = "/orders")]
#[iii::trigger(http, path = "/articles")]
async fn create() {}

fn main() {}

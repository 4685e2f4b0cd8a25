#[iii::function(id = "orders::create")]
#[iii::trigger(http, path = "/orders", metod = "POST")]
async fn create() {}

#[iii::function(id = "orders::news")]
#[iii::trigger(subscribe, topic = "orders", condition = create)]
async fn news() {}

#[iii::function(id = "orders::twice")]
#[iii::trigger(http, path = "/a", path = "/b")]
async fn twice() {}

fn main() {}

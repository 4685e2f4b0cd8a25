#[iii::function(id = "paths::slash")]
#[iii::trigger(http, path = "orders")]
async fn slash() {}

#[iii::function(id = "paths::empty")]
#[iii::trigger(http, path = "/orders//items")]
async fn empty() {}

#[iii::function(id = "paths::braces")]
#[iii::trigger(http, path = "/orders/{id}")]
async fn braces() {}

#[iii::function(id = "paths::star")]
#[iii::trigger(http, path = "/files/*rest")]
async fn star() {}

#[iii::function(id = "paths::query")]
#[iii::trigger(http, path = "/orders?open=true")]
async fn query() {}

#[iii::function(id = "paths::fragment")]
#[iii::trigger(http, path = "/orders#top")]
async fn fragment() {}

#[iii::function(id = "paths::space")]
#[iii::trigger(http, path = "/my orders")]
async fn space() {}

#[iii::function(id = "paths::name")]
#[iii::trigger(http, path = "/orders/:order-id")]
async fn name() {}

#[iii::function(id = "paths::twice")]
#[iii::trigger(http, path = "/orders/:id/items/:id")]
async fn twice() {}

fn main() {}

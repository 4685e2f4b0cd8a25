use iii::Payload;

#[iii::function(id = "orders::authorize")]
async fn authorize(_request: iii::trigger::MiddlewareRequest) -> bool {
    true
}

#[iii::function(id = "orders::audit")]
async fn audit(_request: Payload) -> iii::trigger::Middleware {
    iii::trigger::Middleware::Continue
}

#[iii::function(id = "orders::create")]
#[iii::trigger(http, path = "/orders", middleware = [authorize, audit])]
async fn create() {}

fn main() {}

//! The expansion of `trigger_above_function` in `snapshots.rs`.

#[iii::function(id = "orders::list")]
#[__iii_moved::trigger(http, path = "/orders")]
#[iii::trigger(cron, "@daily")]
fn list() -> Vec<Order> {
    load_all()
}

//! Things that happen at the same time happen in the same order, each time.

use std::time::Duration;

use super::worker::{Done, Job, work};
use crate::testing::Test;

macro_rules! at_noon {
    ($($name:ident = $id:literal;)*) => {$(
        #[iii::function(id = $id)]
        #[iii::trigger(cron, "0 0 12 * * *")]
        #[iii::trigger(subscribe, topic = "noon")]
        #[iii::trigger(state, scope = "noon")]
        #[iii::trigger(log, level = "info")]
        async fn $name() {}
    )*};
}

at_noon! {
    one = "order::d";
    two = "order::b";
    three = "order::a";
    four = "order::c";
}

/// Everything that happens, in order.
fn story() -> Vec<String> {
    let mut story = Vec::new();
    let seen = &mut story;
    Test::new("t").only::<one>().only::<two>().only::<three>().only::<four>().only::<work>().run(
        |iii| async move {
            iii.provide(Done::default());
            iii.advance_to("2026-01-05T11:59:59Z").await;
            for (name, fails) in [("a", 1), ("b", 0), ("c", 1)] {
                let job = Job { name: name.to_owned(), fails };
                iii.publish_durable("jobs", &job).await.unwrap();
            }
            iii.publish("noon", &1).await.unwrap();
            iii.state::<u8>("noon").set("k", &1).await.unwrap();
            let log = serde_json::json!({"message": "noon"});
            iii.call_raw::<()>("engine::log::info", &log).await.unwrap();
            iii.advance(Duration::from_secs(5)).await;
            iii.drop_connection().await;
            iii.advance(Duration::from_secs(24 * 3600)).await;
            *seen = iii.inner.recorder.all().iter().map(super::super::report::line).collect();
        },
    );
    story
}

#[test]
fn the_order_is_always_the_same() {
    let first = story();
    let of = |kind: &str| -> Vec<&str> {
        let of_kind = first.iter().filter(|line| line.contains(&format!(" by {kind}")));
        of_kind.map(|line| line.split(' ').nth(1).unwrap()).take(4).collect()
    };
    let by_id = ["order::a", "order::b", "order::c", "order::d"];
    assert_eq!(of("cron"), by_id);
    assert_eq!(of("subscribe"), by_id);
    assert_eq!(of("state"), by_id);
    assert_eq!(of("log"), by_id);
    for _ in 0..20 {
        assert_eq!(story(), first);
    }
}

//! Triggers that are bound at run time: subscriptions, lists that follow their changes, and what becomes of them.

use std::time::Duration;

use futures_util::FutureExt;
use serde_json::json;

use super::worker::*;
use crate::prelude::*;
use crate::{Listener, Payload, code, discovery::TriggerSummary};

const SECOND: Duration = Duration::from_secs(1);

/// What has come, without waiting.
fn waiting<E: serde::de::DeserializeOwned>(listener: &mut Listener<E>) -> Vec<crate::Result<E>> {
    std::iter::from_fn(|| listener.next().now_or_never().flatten()).collect()
}

fn codes<E>(heard: &[crate::Result<E>]) -> Vec<&str> {
    heard.iter().map(|one| one.as_ref().map_or_else(|error| error.code(), |_| "ok")).collect()
}

async fn triggers(iii: &Harness) -> Vec<TriggerSummary> {
    let all = iii.client().triggers().internal().await.unwrap();
    all.into_iter().filter(|one| one.function_id.starts_with("listener::")).collect()
}

#[iii::test(only(double))]
async fn a_group_is_followed_until_the_listener_is_dropped(iii: Harness) -> iii::Result<()> {
    let chat = iii.client().stream::<String>("chat");
    let room = chat.group("room");
    assert_eq!((room.stream(), room.id()), ("chat", "room"));
    let mut changes = room.subscribe().await?;
    let mut all = chat.subscribe().await?;
    let mut one = room.subscribe_item("m2").await?;
    room.set("m1", &"hello".to_owned()).await?;
    room.set("m2", &"bye".to_owned()).await?;
    chat.set("other", "m1", &"elsewhere".to_owned()).await?;
    room.send("typing", &json!({"who": "Ada"})).await?;
    room.delete("m1").await?;
    iii.settle().await;

    let mut heard = Vec::new();
    for event in waiting(&mut changes) {
        let event = event?;
        assert_eq!((event.stream_name.as_str(), event.group_id.as_str()), ("chat", "room"));
        heard.push((event.id, event.event));
    }
    let of = |id: &str| -> Vec<_> {
        heard.iter().filter(|one| one.0.as_deref() == Some(id)).map(|one| one.1.clone()).collect()
    };
    assert_eq!(heard.len(), 4);
    let data = "hello".to_owned();
    let (create, delete) =
        (StreamChange::Create { data: data.clone() }, StreamChange::Delete { data });
    assert_eq!(of("m1"), [create, delete]);
    assert_eq!(of("m2"), [StreamChange::Create { data: "bye".to_owned() }]);
    assert_eq!(waiting(&mut all).len(), 5);
    assert_eq!(waiting(&mut one).len(), 1);

    assert_eq!(triggers(&iii).await.len(), 3);
    let hidden = iii.client().functions().prefix("listener::").await?;
    assert_eq!(hidden, [], "the function of a listener is in no list");
    drop(changes);
    iii.settle().await;
    assert_eq!(triggers(&iii).await.len(), 2);
    drop((all, one));
    iii.settle().await;
    assert_eq!(triggers(&iii).await.len(), 0);
    let left = iii.client().functions().internal().prefix("listener::").await?;
    assert_eq!(left, []);
    Ok(())
}

#[iii::test(only(double))]
async fn what_may_be_missing_is_said_at_its_place(iii: Harness) -> iii::Result<()> {
    let room = iii.client().stream::<u32>("counts").group("all");
    let mut changes = room.subscribe().capacity(2).await?;
    for n in 0..4 {
        room.set("n", &n).await?;
        iii.settle().await;
    }
    assert_eq!(codes(&waiting(&mut changes)), ["ok", "ok", code::EVENTS_MISSED]);

    let raw = iii.client().stream::<Payload>("counts").group("all");
    raw.set("text", &Payload::from(json!("no number"))).await?;
    room.set("n", &5).await?;
    iii.settle().await;
    assert_eq!(codes(&waiting(&mut changes)), [code::INVALID_PAYLOAD, "ok"]);

    iii.engine_down(2 * SECOND).await;
    iii.connected().await;
    room.set("n", &6).await?;
    iii.settle().await;
    assert_eq!(codes(&waiting(&mut changes)), [code::EVENTS_MISSED, "ok"]);
    assert_eq!(triggers(&iii).await.len(), 1, "it is registered again once");
    Ok(())
}

#[iii::test(only(double))]
async fn a_listener_that_begins_without_a_link_waits_for_it(iii: Harness) -> iii::Result<()> {
    let room = iii.client().stream::<u32>("counts").group("all");
    iii.engine_down(2 * SECOND).await;
    let late = room.subscribe().timeout(Duration::from_millis(500)).await.unwrap_err();
    assert_eq!(late.code(), code::NOT_CONNECTED);
    let mut changes = room.subscribe().await?;
    room.set("n", &1).await?;
    iii.settle().await;
    assert_eq!(codes(&waiting(&mut changes)), ["ok"], "nothing was missed");
    assert_eq!(triggers(&iii).await.len(), 1, "the one that gave up is gone");
    Ok(())
}

#[iii::test(only(double))]
async fn what_cannot_be_listened_to_is_refused(iii: Harness) {
    let client = iii.client();
    let nameless = client.listen_raw::<Payload>("stream", &json!({})).await.unwrap_err();
    assert_eq!(nameless.code(), code::REGISTRATION_REJECTED);
    let route = crate::trigger::Http { path: "/x", ..Default::default() };
    let http = client.listen::<Payload>(route).await.unwrap_err();
    assert_eq!(http.code(), code::INVALID_ARGUMENT);
    let any = client.stream::<u32>("counts").group("").subscribe().await.unwrap_err();
    assert_eq!(any.code(), code::INVALID_ARGUMENT);
    let bad = std::collections::HashMap::from([([1, 2], 3)]);
    assert!(client.listen_raw::<Payload>("state", &bad).await.is_err());
    assert_eq!(triggers(&iii).await.len(), 0);
}

#[iii::test(only(double))]
async fn any_trigger_can_be_listened_to(iii: Harness) -> iii::Result<()> {
    let client = iii.client();
    let scope = crate::trigger::State { scope: Some("prices"), ..Default::default() };
    let mut prices = client.listen::<StateEvent<f64>>(scope).await?;
    let mut messages = client.listen_raw::<String>("subscribe", &json!({"topic": "news"})).await?;
    let mut unknown = client.listen_raw::<Payload>("nobody::provides", &json!({})).await?;
    let mut ticks =
        client.listen_raw::<Payload>("cron", &json!({"expression": "0 * * * * *"})).await?;
    client.state("prices").set("tea", &2.5).await?;
    client.publish("news", "it rains").await?;
    assert_eq!(prices.next().await.unwrap()?.new_value, Some(2.5));
    assert_eq!(messages.next().await.unwrap()?, "it rains");
    let before = iii.now();
    assert!(ticks.next().await.unwrap().is_ok());
    assert_eq!(iii.now(), before + 60 * SECOND, "time moves while it is waited for");
    assert!(waiting(&mut unknown).is_empty());
    Ok(())
}

/// Listens as the worker under test.
#[iii::function(id = "t::first_price")]
async fn first_price(client: Client) -> iii::Result<Option<f64>> {
    let scope = crate::trigger::State { scope: Some("prices"), ..Default::default() };
    let mut prices = client.listen::<StateEvent<f64>>(scope).await?;
    Ok(prices.next().await.transpose()?.and_then(|event| event.new_value))
}

#[iii::test(only(first_price))]
async fn a_handler_listens_for_as_long_as_it_runs(iii: Harness) -> iii::Result<()> {
    let first = tokio::spawn(iii.call::<first_price>(()).into_future());
    iii.settle().await;
    assert_eq!(triggers(&iii).await.len(), 1);
    iii.state("prices").set("tea", &2.5).await?;
    assert_eq!(first.await.unwrap()?, Some(2.5));
    iii.settle().await;
    assert_eq!(triggers(&iii).await.len(), 0);
    Ok(())
}

#[iii::test(only(double))]
async fn lists_follow_their_changes(iii: Harness) -> iii::Result<()> {
    let client = iii.client();
    let mut functions = client.on_functions_available();
    let mut mocked = client.functions().prefix("mocked::").watch();
    let ids = |list: &[crate::discovery::FunctionSummary]| -> Vec<String> {
        // The engine has some, too.
        let ours = list.iter().filter(|one| {
            one.function_id.starts_with("t::") || one.function_id.starts_with("mocked::")
        });
        ours.map(|one| one.function_id.to_string()).collect()
    };
    let first = functions.next().await.unwrap()?;
    assert_eq!(ids(&first), ["t::double"]);
    assert_eq!(mocked.next().await.unwrap()?, []);
    iii.mock_raw("mocked::one", Ok);
    iii.mock_raw("mocked::two", Ok);
    let second = functions.next().await.unwrap()?;
    assert_eq!(ids(&second), ["mocked::one", "mocked::two", "t::double"]);
    assert_eq!(ids(&mocked.next().await.unwrap()?), ["mocked::one", "mocked::two"]);

    iii.drop_connection().await;
    let third = functions.next().await.unwrap()?;
    assert_eq!(ids(&third), ["mocked::one", "mocked::two"]);
    iii.connected().await;
    let fourth = functions.next().await.unwrap()?;
    assert_eq!(fourth, second);
    assert!(mocked.next().now_or_never().is_none(), "nothing that it lists has changed");
    Ok(())
}

#[iii::test(only(double))]
async fn workers_come_and_go(iii: Harness) -> iii::Result<()> {
    let mut workers = iii.client().workers().runtime("rust").watch();
    let both = workers.next().await.unwrap()?;
    assert_eq!(both.len(), 2, "the worker under test, and the test");
    iii.drop_connection().await;
    assert_eq!(workers.next().await.unwrap()?.len(), 1);
    iii.connected().await;
    let mut again = workers.next().await.unwrap()?;
    while again.len() < 2 {
        again = workers.next().await.unwrap()?;
    }

    // Both links are lost: the list is asked for again when they are back, and is as before but for the ids.
    iii.engine_down(SECOND / 2).await;
    iii.connected().await;
    let last = workers.next().await.unwrap()?;
    assert!(last.iter().all(|one| again.iter().all(|before| before.id != one.id)));
    drop(workers);
    iii.settle().await;
    assert_eq!(triggers(&iii).await.len(), 0);
    Ok(())
}

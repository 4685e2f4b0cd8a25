//! Streams: items by stream and group, and everybody who hears of their changes at once (protocol sections 5.7, 6.3
//! and 8).

mod auth;
mod client;
mod custom;
mod functions;
mod gate;
mod hub;
mod listener;
#[cfg(feature = "testing")]
mod local;
mod message;
mod place;
#[cfg(test)]
mod tests;
mod triggers;

use std::sync::Arc;

use tokio::sync::watch;

use super::broker::Broker;
use super::provider::{Binding, BuiltIn, Call, Provider, TriggerTypeInfo, schema};
use super::store::{Change, PendingWrite, Decide, Table};
use iii_wire::event::StreamEvent;
use iii_wire::protocol::{ErrorBody, FunctionId, Payload};

pub(crate) use listener::serve;
#[cfg(feature = "testing")]
pub use local::LocalSubscriber;

use custom::ItemLocks;
use gate::Gate;
use hub::{Hub, Queue, Subscription};
use message::{Event, Message};
use place::Place;
use triggers::Triggers;

/// The trigger type that is asked before a subscription.
const JOIN: &str = "stream:join";
/// The trigger type that is told of its end.
const LEAVE: &str = "stream:leave";
/// How often the first picture of a subscription is taken anew because something changed meanwhile.
const PICTURES: usize = 3;

/// The provider of `stream::*` and of the stream triggers, and the hub of those who subscribe over sockets.
pub(crate) struct Streams {
    broker: Broker,
    table: Table,
    /// The function that is asked about each client that connects.
    auth: Option<FunctionId>,
    triggers: Triggers,
    join: Gate,
    leave: Gate,
    hub: Hub,
    writers: ItemLocks,
    stopping: watch::Sender<bool>,
}

impl Streams {
    /// Streams whose items are in `table`. If `auth` names a function of the namespace `default`, clients that connect
    /// are let in by it.
    pub(crate) fn new(broker: Broker, table: Table, auth: Option<FunctionId>) -> Self {
        Self {
            triggers: Triggers::new(broker.clone()),
            join: Gate::new(broker.clone()),
            leave: Gate::new(broker.clone()),
            hub: Hub::default(),
            writers: ItemLocks::default(),
            stopping: watch::Sender::new(false),
            broker,
            table,
            auth,
        }
    }

    /// Changes an item in one step. Everybody hears of the changes in their order.
    fn change(
        &self,
        place: &Place,
        item: &str,
        code: &str,
        decide: &mut Decide<'_>,
    ) -> Result<(Change, PendingWrite), ErrorBody> {
        let mut seen = |change: &Change| self.tell_change(place, item, change);
        let changed = self.table.change(&place.scope(), item, decide, &mut seen);
        changed.map_err(|error| error.to_body(code))
    }

    /// Tells of a change that a worker made in a stream of its own.
    fn told_of(&self, place: &Place, item: &str, old: Option<Payload>, new: Option<Payload>) {
        let old = old.filter(|old| !old.is_null());
        self.tell_change(place, item, &Change { old, new });
    }

    fn tell_change(&self, place: &Place, item: &str, change: &Change) {
        let event = match (&change.old, &change.new) {
            (None, None) => return,
            (None, Some(new)) => Event::Create(new),
            (Some(_), Some(new)) => Event::Update(new),
            (Some(old), None) => Event::Delete(old),
        };
        self.tell(place, Some(item), &event);
    }

    /// Tells functions and subscribers. Never waits.
    fn tell(&self, place: &Place, item: Option<&str>, event: &Event<'_>) {
        if !self.triggers.hears(&place.stream) && !self.hub.hears(place) {
            return;
        }
        let message = Arc::new(self.message(place, item, event));
        self.triggers.tell(place, item, &message);
        self.hub.publish(place, item, &message);
    }

    /// Whether anybody hears of messages to a stream: a subscriber of one of its groups, or a function.
    pub(crate) fn is_subscribed(&self, stream: &str) -> bool {
        self.triggers.hears(stream) || self.hub.hears_stream(stream)
    }

    fn message(&self, place: &Place, item: Option<&str>, event: &Event<'_>) -> Message {
        Message::new(self.broker.clock().unix_millis(), place, item, event)
    }

    /// The items of a group, as a JSON list.
    fn items(&self, place: &Place) -> String {
        let items = self.table.list(&place.scope());
        let length = items.iter().map(|(_, item)| item.as_str().len() + 1).sum::<usize>();
        let mut text = String::with_capacity(length + 2);
        text.push('[');
        for (n, (_, item)) in items.iter().enumerate() {
            if n > 0 {
                text.push(',');
            }
            text.push_str(item.as_str());
        }
        text.push(']');
        text
    }

    /// The groups that hold something.
    fn places(&self) -> impl Iterator<Item = Place> {
        self.table.scopes().into_iter().filter_map(|scope| Place::of_scope(&scope))
    }

    /// Subscribes a client: the first picture, and then each change that is not in it.
    ///
    /// # Errors
    ///
    /// If a worker keeps the stream, and does not give the picture.
    async fn subscribe(
        &self,
        id: &str,
        place: Place,
        item: Option<String>,
        queue: &Arc<Queue>,
    ) -> Result<Arc<Subscription>, ErrorBody> {
        // Messages wait from here on, so that none is missed.
        let subscription = self.hub.subscribe(id, place, item, queue);
        for attempt in 1..=PICTURES {
            subscription.forget_changes();
            let picture = self.picture(&subscription).await;
            let (picture, certain) =
                picture.inspect_err(|_| self.hub.unsubscribe(&subscription))?;
            let item = subscription.item.as_deref();
            let sync = self.message(&subscription.place, item, &Event::Sync(&picture));
            // Asking a worker again and again would not make it any better.
            if subscription.begin(sync, !certain || attempt == PICTURES) {
                break;
            }
        }
        Ok(subscription)
    }

    /// The items, or the item, as JSON; and whether they are the store's own.
    async fn picture(&self, subscription: &Subscription) -> Result<(String, bool), ErrorBody> {
        let Subscription { place, item, .. } = subscription;
        let names = format!(
            r#""stream_name":{},"group_id":{}"#,
            message::quoted(&place.stream),
            message::quoted(&place.group)
        );
        let (operation, data) = match item {
            None => ("list", format!("{{{names}}}")),
            Some(item) => ("get", format!(r#"{{{names},"item_id":{}}}"#, message::quoted(item))),
        };
        let data = Payload::from_built(data);
        let call = Call { data, caller: None, traceparent: None, baggage: None };
        if let Some(answer) = custom::call(&self.broker, operation, &place.stream, &call) {
            let answer = tokio::time::timeout(gate::PATIENCE, answer);
            let answer = answer.await.unwrap_or_else(|_| Err(gate::slow()))?;
            return Ok((answer.as_str().to_owned(), false));
        }
        let picture = match item {
            None => self.items(place),
            Some(item) => {
                let item = self.table.get(&place.scope(), item);
                item.unwrap_or_default().as_str().to_owned()
            }
        };
        Ok((picture, true))
    }
}

impl Provider for Streams {
    fn name(&self) -> &'static str {
        "iii-stream"
    }

    fn description(&self) -> &'static str {
        "Keep items by stream and group, and tell subscribers of their changes at once."
    }

    fn trigger_types(&self) -> Vec<TriggerTypeInfo> {
        let (config_schema, request_schema) = gate::schemas();
        let gate = |id, description| TriggerTypeInfo {
            id,
            description,
            config_schema: config_schema.clone(),
            request_schema: request_schema.clone(),
        };
        vec![
            TriggerTypeInfo {
                id: "stream",
                description: "Fires for each event of a stream.",
                config_schema: triggers::config_schema(),
                request_schema: schema::<StreamEvent<serde_json::Value>>(),
            },
            gate(JOIN, "Fires before a client is subscribed to a stream, and may refuse it."),
            gate(LEAVE, "Fires when a client is no longer subscribed to a stream."),
        ]
    }

    fn functions(self: Arc<Self>) -> Vec<BuiltIn> {
        functions::all(&self)
    }

    fn bind(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        match binding.trigger_type.as_str() {
            JOIN => self.join.bind(binding),
            LEAVE => self.leave.bind(binding),
            _ => self.triggers.bind(binding),
        }
    }

    fn unbind(&self, binding: &Arc<Binding>) {
        match binding.trigger_type.as_str() {
            JOIN => self.join.unbind(&binding.id),
            LEAVE => self.leave.unbind(&binding.id),
            _ => self.triggers.unbind(&binding.id),
        }
    }

    fn stop(&self) {
        self.stopping.send_replace(true);
        self.triggers.stop();
    }
}

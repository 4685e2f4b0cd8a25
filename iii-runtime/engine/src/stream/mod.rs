//! Streams: items by stream and group, with live updates for subscribers ([protocol 5.7](iii_wire::protocol#s5-7), [6.3](iii_wire::protocol#s6-3), [8](iii_wire::protocol#s8)).

mod auth;
mod client;
mod custom;
mod functions;
mod group;
mod hub;
mod listener;
#[cfg(feature = "testing")]
mod local_subscriber;
mod message;
mod subscription_triggers;
#[cfg(test)]
mod tests;
mod triggers;

use std::sync::Arc;

use tokio::sync::watch;

use super::broker::Broker;
use super::provider::{Binding, BuiltIn, Call, Provider, TriggerTypeInfo, schema};
use super::store::{Change, PendingWrite, Table, UpdateFn, json_string};
use iii_wire::event::StreamEvent;
use iii_wire::protocol::{ErrorBody, FunctionId, Payload};

pub(crate) use listener::serve;
#[cfg(feature = "testing")]
pub use local_subscriber::LocalSubscriber;

use custom::{CustomChange, CustomDeletion, ItemLocks};
use group::StreamGroup;
use hub::{ClientQueue, Hub, StreamSubscription};
use message::{MessageEvent, StreamMessage};
use subscription_triggers::SubscriptionTriggers;
use triggers::StreamTriggers;

/// The trigger type that authorizes subscriptions.
const JOIN: &str = "stream:join";
/// The trigger type that observes the end of subscriptions.
const LEAVE: &str = "stream:leave";
/// How often the snapshot of a subscription is taken if items change meanwhile.
const SNAPSHOT_ATTEMPTS: usize = 3;

/// The provider of the functions `stream::*` and of the stream triggers, and the hub of WebSocket subscribers.
pub(crate) struct Streams {
    broker: Broker,
    table: Table,
    /// The function that authenticates clients.
    auth: Option<FunctionId>,
    triggers: StreamTriggers,
    join_triggers: SubscriptionTriggers,
    leave_triggers: SubscriptionTriggers,
    hub: Hub,
    item_locks: ItemLocks,
    stopping: watch::Sender<bool>,
}

/// The items of a group, or one item, at the start of a subscription.
struct Snapshot {
    json: String,
    /// Whether a worker provided it.
    is_custom: bool,
}

impl Streams {
    /// Streams whose items are stored in `table`. If `auth` names a function of the namespace `default`, it authenticates
    /// the clients that connect.
    pub(crate) fn new(broker: Broker, table: Table, auth: Option<FunctionId>) -> Self {
        Self {
            triggers: StreamTriggers::new(broker.clone()),
            join_triggers: SubscriptionTriggers::new(broker.clone()),
            leave_triggers: SubscriptionTriggers::new(broker.clone()),
            hub: Hub::default(),
            item_locks: ItemLocks::default(),
            stopping: watch::Sender::new(false),
            broker,
            table,
            auth,
        }
    }

    /// Changes an item atomically, and publishes the changes in their order.
    fn change(
        &self,
        group: &StreamGroup,
        item: &str,
        code: &str,
        update: &mut UpdateFn<'_>,
    ) -> Result<(Change, PendingWrite), ErrorBody> {
        let mut hook = |change: &Change| self.publish_change(group, item, change);
        let changed = self.table.change(&group.scope(), item, update, &mut hook);
        changed.map_err(|error| error.to_body(code))
    }

    /// Publishes a change of a custom stream. Returns it with a null as the previous item converted to `None`.
    fn publish_custom_change(
        &self,
        group: &StreamGroup,
        item: &str,
        CustomChange { old_value, new_value }: CustomChange,
    ) -> Change {
        let old = old_value.filter(|old| !old.is_null());
        let change = Change { old, new: Some(new_value) };
        self.publish_change(group, item, &change);
        change
    }

    /// Publishes the removal of an item of a custom stream.
    fn publish_custom_deletion(
        &self,
        group: &StreamGroup,
        item: &str,
        CustomDeletion { old_value }: CustomDeletion,
    ) {
        let old = old_value.filter(|old| !old.is_null());
        self.publish_change(group, item, &Change { old, new: None });
    }

    fn publish_change(&self, group: &StreamGroup, item: &str, change: &Change) {
        let event = match (&change.old, &change.new) {
            (None, None) => return,
            (None, Some(new)) => MessageEvent::Create(new),
            (Some(_), Some(new)) => MessageEvent::Update(new),
            (Some(old), None) => MessageEvent::Delete(old),
        };
        self.publish(group, Some(item), &event);
    }

    /// Publishes an event to triggers and subscribers. Never waits.
    fn publish(&self, group: &StreamGroup, item: Option<&str>, event: &MessageEvent<'_>) {
        if !self.triggers.has_triggers(&group.stream) && !self.hub.has_group_subscribers(group) {
            return;
        }
        let message = Arc::new(self.message(group, item, event));
        self.triggers.dispatch(group, item, &message);
        self.hub.publish(group, item, &message);
    }

    /// Returns whether a stream has recipients: a trigger, or a subscriber of one of its groups.
    pub(crate) fn is_subscribed(&self, stream: &str) -> bool {
        self.triggers.has_triggers(stream) || self.hub.has_stream_subscribers(stream)
    }

    fn message(
        &self,
        group: &StreamGroup,
        item: Option<&str>,
        event: &MessageEvent<'_>,
    ) -> StreamMessage {
        StreamMessage::new(self.broker.clock().unix_millis(), group, item, event)
    }

    /// Returns the groups that have items.
    fn groups(&self) -> impl Iterator<Item = StreamGroup> {
        self.table.scopes().into_iter().filter_map(|scope| StreamGroup::from_scope(&scope))
    }

    /// Subscribes a client: sends the snapshot, and then each change that the snapshot does not contain.
    ///
    /// # Errors
    ///
    /// If the stream is a custom stream, and its worker fails to return the snapshot.
    async fn subscribe(
        &self,
        id: &str,
        group: StreamGroup,
        item: Option<String>,
        queue: &Arc<ClientQueue>,
    ) -> Result<Arc<StreamSubscription>, ErrorBody> {
        // Buffers messages before the snapshot is taken, so that none is lost.
        let subscription = self.hub.subscribe(id, group, item, queue);
        for attempt in 1..=SNAPSHOT_ATTEMPTS {
            subscription.discard_buffered_changes();
            let snapshot = self.snapshot(&subscription).await;
            let snapshot = snapshot.inspect_err(|_| self.hub.unsubscribe(&subscription))?;
            let item = subscription.item.as_deref();
            let event = MessageEvent::Sync(&snapshot.json);
            let message = self.message(&subscription.group, item, &event);
            // Asking a worker again would not make its snapshot more consistent.
            if subscription.go_live(message, snapshot.is_custom || attempt == SNAPSHOT_ATTEMPTS) {
                break;
            }
        }
        Ok(subscription)
    }

    /// Takes the snapshot of a subscription.
    async fn snapshot(&self, subscription: &StreamSubscription) -> Result<Snapshot, ErrorBody> {
        if let Some(json) = self.custom_snapshot(subscription).await? {
            return Ok(Snapshot { json, is_custom: true });
        }
        let scope = subscription.group.scope();
        let json = match &subscription.item {
            None => self.table.json_array(&scope),
            Some(item) => {
                let item = self.table.get(&scope, item);
                item.unwrap_or_default().as_str().to_owned()
            }
        };
        Ok(Snapshot { json, is_custom: false })
    }

    /// Asks the worker of a custom stream for the snapshot. Returns `None` if no worker serves the stream.
    async fn custom_snapshot(
        &self,
        subscription: &StreamSubscription,
    ) -> Result<Option<String>, ErrorBody> {
        let StreamSubscription { group, item, .. } = subscription;
        let group_fields = format!(
            r#""stream_name":{},"group_id":{}"#,
            json_string(&group.stream),
            json_string(&group.group)
        );
        let (operation, data) = match item {
            None => ("list", format!("{{{group_fields}}}")),
            Some(item) => ("get", format!(r#"{{{group_fields},"item_id":{}}}"#, json_string(item))),
        };
        let data = Payload::from_built(data);
        let call = Call { data, caller: None, traceparent: None, baggage: None };
        let Some(output) = custom::call(&self.broker, operation, &group.stream, &call) else {
            return Ok(None);
        };
        let output = tokio::time::timeout(subscription_triggers::FUNCTION_TIMEOUT, output).await;
        let output = output.unwrap_or_else(|_| Err(subscription_triggers::timeout_error()))?;
        Ok(Some(output.as_str().to_owned()))
    }
}

impl Provider for Streams {
    fn name(&self) -> &'static str {
        "iii-stream"
    }

    fn description(&self) -> &'static str {
        "Stores items by stream and group, and sends their changes to subscribers."
    }

    fn trigger_types(&self) -> Vec<TriggerTypeInfo> {
        let (config_schema, request_schema) = subscription_triggers::schemas();
        let subscription_trigger = |id, description| TriggerTypeInfo {
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
            subscription_trigger(JOIN, "Fires before a client subscribes, and may reject it."),
            subscription_trigger(LEAVE, "Fires when a subscription of a client has ended."),
        ]
    }

    fn functions(self: Arc<Self>) -> Vec<BuiltIn> {
        functions::built_in_functions(&self)
    }

    fn bind(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        match binding.trigger_type.as_str() {
            JOIN => self.join_triggers.bind(binding),
            LEAVE => self.leave_triggers.bind(binding),
            _ => self.triggers.bind(binding),
        }
    }

    fn unbind(&self, binding: &Arc<Binding>) {
        match binding.trigger_type.as_str() {
            JOIN => self.join_triggers.unbind(&binding.id),
            LEAVE => self.leave_triggers.unbind(&binding.id),
            _ => self.triggers.unbind(&binding.id),
        }
    }

    fn stop(&self) {
        self.stopping.send_replace(true);
        self.triggers.stop();
    }
}

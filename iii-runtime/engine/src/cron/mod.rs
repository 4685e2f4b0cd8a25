//! Cron triggers: invoke functions on a schedule ([protocol 5.2](iii_wire::protocol#s5-2)).

mod schedule;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use tokio::task::JoinHandle;

use super::broker::Broker;
use super::condition::ConditionalBinding;
use super::provider::{Binding, Provider, TriggerTypeInfo, refused, schema};
use iii_wire::protocol::{ErrorBody, Payload, TriggerId};
use iii_wire::sync::lock;

use schedule::Schedule;

/// Configuration of a `cron` trigger.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct CronConfig {
    /// Six or seven fields: second, minute, hour, day of month, month, day of week (1 is Sunday), year. In UTC.
    expression: Option<String>,
    /// A function that is called first; `false` skips the run.
    condition_function_id: Option<String>,
}

/// The payload of a `cron` trigger.
#[derive(schemars::JsonSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct CronCall {
    /// Always `cron`.
    trigger: String,
    /// The id of the trigger.
    job_id: String,
    /// When the run was scheduled, RFC 3339.
    scheduled_time: String,
    /// When the run started, RFC 3339.
    actual_time: String,
}

/// The provider of the trigger type `cron`.
pub(crate) struct Cron {
    broker: Broker,
    schedules: Mutex<HashMap<TriggerId, ScheduleTask>>,
}

/// The task of one trigger. Dropping it aborts the task.
struct ScheduleTask(JoinHandle<()>);

impl Drop for ScheduleTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Cron {
    /// A provider without triggers.
    pub(crate) fn new(broker: Broker) -> Self {
        Self { broker, schedules: Mutex::default() }
    }
}

impl Provider for Cron {
    fn name(&self) -> &'static str {
        "iii-cron"
    }

    fn description(&self) -> &'static str {
        "Invokes functions on a schedule."
    }

    fn trigger_types(&self) -> Vec<TriggerTypeInfo> {
        vec![TriggerTypeInfo {
            id: "cron",
            description: "Fires at the times of a cron expression, in UTC.",
            config_schema: schema::<CronConfig>(),
            request_schema: schema::<CronCall>(),
        }]
    }

    fn bind(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        let config: CronConfig = binding.config()?;
        let expression = config.expression.unwrap_or_default();
        let schedule = Schedule::parse(&expression).map_err(refused)?;
        let trigger = ConditionalBinding::new(binding, config.condition_function_id);
        let task = tokio::spawn(run_schedule(self.broker.clone(), trigger, schedule));
        // Aborts the task that it replaces. A function that already runs is not cancelled.
        lock(&self.schedules).insert(binding.id.clone(), ScheduleTask(task));
        Ok(())
    }

    fn unbind(&self, binding: &Arc<Binding>) {
        lock(&self.schedules).remove(&binding.id);
    }

    fn stop(&self) {
        lock(&self.schedules).clear();
    }
}

/// Fires a trigger at each time of its schedule. Runs never overlap: times that pass during a run are skipped.
async fn run_schedule(broker: Broker, trigger: ConditionalBinding, schedule: Schedule) {
    let clock = broker.clock().clone();
    let mut after = clock.now();
    while let Some(due) = schedule.next_after(after) {
        clock.sleep_until(due).await;
        let data = payload(&trigger.binding, due, clock.now());
        trigger.fire_and_wait(&broker, data).await;
        // At least `due`, so that a clock that was set back does not repeat a run.
        after = clock.now().max(due);
    }
}

fn payload(binding: &Binding, due: SystemTime, now: SystemTime) -> Payload {
    let rfc3339 = |time: SystemTime| {
        DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::AutoSi, false)
    };
    Payload::from_built(format!(
        r#"{{"trigger":"cron","job_id":{},"scheduled_time":"{}","actual_time":"{}"}}"#,
        serde_json::Value::from(binding.id.as_str()),
        rfc3339(due),
        rfc3339(now)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::testing::{Worker, json};
    use iii_wire::clock::Clock;
    use std::time::Duration;

    /// A broker whose clock starts at 2026-01-05T08:59:59Z, a Monday.
    fn broker() -> Broker {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_603_599);
        let broker = Broker::new(Clock::starting_at(start), Duration::from_secs(5));
        broker.install(Arc::new(Cron::new(broker.clone())));
        broker
    }

    async fn worker(broker: &Broker) -> Worker {
        let mut worker = Worker::named(broker, "w").await;
        worker.function("c::tick");
        worker.nothing_else().await;
        worker
    }

    fn every(seconds: u32) -> String {
        format!(r#"{{"expression":"*/{seconds} * * * * *"}}"#)
    }

    #[tokio::test(start_paused = true)]
    async fn trigger_fires_at_the_scheduled_time() {
        let broker = broker();
        let mut worker = worker(&broker).await;
        worker.bind("c1", "cron", "c::tick", r#"{"expression":"0 0 9 * * MON"}"#);
        let call = worker.called().await;
        assert_eq!(
            call.data.as_str(),
            r#"{"trigger":"cron","job_id":"c1","scheduled_time":"2026-01-05T09:00:00+00:00","actual_time":"2026-01-05T09:00:00+00:00"}"#
        );
        assert_eq!(call.metadata, Some(json(r#"{"m":1}"#)));
        assert_eq!(call.caller, None);
    }

    #[tokio::test(start_paused = true)]
    async fn times_during_a_run_are_skipped() {
        let broker = broker();
        let mut worker = worker(&broker).await;
        worker.bind("c1", "cron", "c::tick", &every(10));
        let first = worker.called().await;
        tokio::time::sleep(Duration::from_secs(25)).await;
        worker.nothing_else().await;
        worker.answer(&first, Ok(None));
        let second = worker.called().await;
        assert!(second.data.as_str().contains("09:00:30"), "{:?}", second.data);
        worker.answer(&second, Err(ErrorBody::new("x", "failed")));
        assert!(worker.called().await.data.as_str().contains("09:00:40"));
    }

    #[tokio::test(start_paused = true)]
    async fn rebinding_replaces_the_schedule_and_unbinding_stops_it() {
        let broker = broker();
        let mut worker = worker(&broker).await;
        worker.bind("c1", "cron", "c::tick", &every(1));
        worker.bind("c1", "cron", "c::tick", &every(20));
        let call = worker.called().await;
        assert!(call.data.as_str().contains("09:00:00"));
        worker.answer(&call, Ok(None));
        assert!(worker.called().await.data.as_str().contains("09:00:20"));
        worker.unbind("c1");
        worker.nothing_else().await;
        tokio::time::sleep(Duration::from_secs(100)).await;
        worker.nothing_else().await;
    }

    #[tokio::test(start_paused = true)]
    async fn condition_function_skips_runs() {
        let broker = broker();
        let mut worker = worker(&broker).await;
        worker.function("c::if");
        let config = r#"{"expression":"*/1 * * * * *","condition_function_id":"c::if"}"#;
        worker.bind("c1", "cron", "c::tick", config);
        let asked = worker.called().await;
        assert_eq!((asked.function_id.as_str(), asked.metadata.clone()), ("c::if", None));
        worker.answer(&asked, Ok(Some(json("false"))));
        let asked = worker.called().await;
        assert_eq!(asked.function_id, "c::if");
        worker.answer(&asked, Ok(Some(json("0"))));
        assert_eq!(worker.called().await.function_id, "c::tick");
    }

    #[tokio::test(start_paused = true)]
    async fn invalid_schedule_is_rejected() {
        let broker = broker();
        let mut worker = worker(&broker).await;
        for config in ["{}", r#"{"expression":"bad"}"#, r#"{"expression":"0 9 * * 1"}"#] {
            worker.bind("c1", "cron", "c::tick", config);
            let error = worker.binding_error().await.error.unwrap();
            assert_eq!(error.code, "trigger_registration_failed", "{config}");
        }
    }
}

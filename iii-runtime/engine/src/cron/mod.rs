//! Cron triggers: functions that are invoked by a schedule (protocol section 5.2).

mod schedule;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use tokio::task::JoinHandle;

use super::broker::Broker;
use super::condition::Condition;
use super::provider::{Binding, Provider, TriggerTypeInfo, refused, schema};
use iii_wire::protocol::{ErrorBody, Payload, TriggerId};
use iii_wire::sync::lock;

use schedule::Schedule;

/// The config of a `cron` binding.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct CronConfig {
    /// Six or seven fields: second, minute, hour, day of month, month, day of week (1 is Sunday), year. In UTC.
    expression: Option<String>,
    /// A function that is asked first; `false` skips the run.
    condition_function_id: Option<String>,
}

/// What a function gets, for the list of trigger types.
#[derive(schemars::JsonSchema)]
#[allow(dead_code)]
struct CronCall {
    /// Always `cron`.
    trigger: String,
    /// The id of the trigger.
    job_id: String,
    /// When it was due.
    scheduled_time: String,
    /// When it ran.
    actual_time: String,
}

/// The provider of the trigger type `cron`.
pub(crate) struct Cron {
    broker: Broker,
    jobs: Mutex<HashMap<TriggerId, Job>>,
}

/// The task of one binding, which ends with this.
struct Job(JoinHandle<()>);

impl Drop for Job {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Cron {
    /// A provider without jobs.
    pub(crate) fn new(broker: Broker) -> Self {
        Self { broker, jobs: Mutex::default() }
    }
}

impl Provider for Cron {
    fn name(&self) -> &'static str {
        "iii-cron"
    }

    fn description(&self) -> &'static str {
        "Invoke functions by a schedule."
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
        let condition_function_id = config.condition_function_id.map(Into::into);
        let condition = Condition { condition_function_id };
        let task = run(self.broker.clone(), binding.clone(), schedule, condition);
        // The job that it replaces ends here; a run that has begun goes on at its worker.
        lock(&self.jobs).insert(binding.id.clone(), Job(tokio::spawn(task)));
        Ok(())
    }

    fn unbind(&self, binding: &Arc<Binding>) {
        lock(&self.jobs).remove(&binding.id);
    }

    fn stop(&self) {
        lock(&self.jobs).clear();
    }
}

/// Fires at each time of the schedule. Runs never overlap: times that pass during a run are skipped.
async fn run(broker: Broker, binding: Arc<Binding>, schedule: Schedule, condition: Condition) {
    let clock = broker.clock().clone();
    let mut after = clock.now();
    while let Some(due) = schedule.next_after(after) {
        clock.sleep_until(due).await;
        let data = payload(&binding, due, clock.now());
        condition.fire_and_wait(&broker, &binding, data).await;
        // Never before `due`: a clock that was set back does not repeat a run.
        after = clock.now().max(due);
    }
}

fn payload(binding: &Binding, due: SystemTime, now: SystemTime) -> Payload {
    let text = |time: SystemTime| {
        DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::AutoSi, false)
    };
    Payload::from_built(format!(
        r#"{{"trigger":"cron","job_id":{},"scheduled_time":"{}","actual_time":"{}"}}"#,
        serde_json::Value::from(binding.id.as_str()),
        text(due),
        text(now)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::testing::{Worker, json};
    use iii_wire::clock::Clock;
    use std::time::Duration;

    /// A broker whose clock shows one second before nine on Monday, 5 January 2026.
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
    async fn it_fires_exactly_when_due() {
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
    async fn a_long_run_skips_and_never_overlaps() {
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
    async fn an_id_is_replaced_and_an_end_is_an_end() {
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
    async fn a_condition_decides() {
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
    async fn what_is_no_schedule_is_refused() {
        let broker = broker();
        let mut worker = worker(&broker).await;
        for config in ["{}", r#"{"expression":"bad"}"#, r#"{"expression":"0 9 * * 1"}"#] {
            worker.bind("c1", "cron", "c::tick", config);
            let error = worker.binding_error().await.error.unwrap();
            assert_eq!(error.code, "trigger_registration_failed", "{config}");
        }
    }
}

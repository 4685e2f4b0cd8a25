//! The kind `cron`: a schedule invokes the function ([protocol 5.2](crate::protocol#s5-2)).

use std::time::SystemTime;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Binding, FunctionRef, TriggerKind, condition_id};

/// Configuration of a `cron` trigger.
#[derive(Debug, Clone, Default)]
pub struct Cron {
    /// Six or seven fields, in UTC: second, minute, hour, day of month, month, day of week, and optionally the year.
    pub expression: &'static str,
    /// Evaluated first; `false` skips the run.
    pub condition: Option<FunctionRef>,
}

impl From<Cron> for Binding {
    fn from(cron: Cron) -> Self {
        #[derive(Serialize)]
        struct Config<'a> {
            expression: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            condition_function_id: Option<&'a str>,
        }
        let condition_function_id = condition_id(&cron.condition);
        let config = Config { expression: cron.expression, condition_function_id };
        Binding::new(TriggerKind::Cron, &config, cron.expression).with_condition(cron.condition)
    }
}

/// The event of a `cron` trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CronTick {
    /// The id of the trigger.
    pub job_id: String,
    /// When the run was scheduled.
    #[serde(with = "rfc3339")]
    #[schemars(with = "String")]
    pub scheduled_time: SystemTime,
    /// When the run started.
    #[serde(with = "rfc3339")]
    #[schemars(with = "String")]
    pub actual_time: SystemTime,
}

impl CronTick {
    /// A tick at `time`, for unit tests and direct calls.
    pub fn at(time: SystemTime) -> Self {
        Self { job_id: "test".to_owned(), scheduled_time: time, actual_time: time }
    }
}

/// Times in the format of RFC 3339, as the engine sends them.
mod rfc3339 {
    use std::time::SystemTime;

    use chrono::{DateTime, SecondsFormat, Utc};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(time: &SystemTime, s: S) -> Result<S::Ok, S::Error> {
        let time = DateTime::<Utc>::from(*time);
        s.serialize_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, false))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<SystemTime, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(d)?;
        let time = DateTime::parse_from_rfc3339(&text).map_err(|error| {
            D::Error::custom(format!(
                "`{text}` is not a time such as 2026-01-05T09:00:00Z: {error}"
            ))
        })?;
        Ok(time.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_of_the_engine_is_deserialised_and_round_trips() {
        let json = r#"{"trigger":"cron","job_id":"j","scheduled_time":"2026-01-01T00:05:00+00:00",
            "actual_time":"2026-01-01T00:05:00.001+00:00"}"#;
        let tick: CronTick = serde_json::from_str(json).unwrap();
        let late = tick.actual_time.duration_since(tick.scheduled_time).unwrap();
        assert_eq!(late.as_millis(), 1);
        let back: CronTick = serde_json::from_str(&serde_json::to_string(&tick).unwrap()).unwrap();
        assert_eq!(back, tick);
    }
}

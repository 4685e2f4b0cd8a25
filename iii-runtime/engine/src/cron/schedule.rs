//! Cron expressions: parsing, evaluation and error messages.

use std::str::FromStr;
use std::time::SystemTime;

use chrono::{DateTime, Utc};

/// The times of a cron expression, in UTC.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    times: cron::Schedule,
}

impl Schedule {
    /// Parses an expression of six or seven fields, or a shorthand such as `@daily`.
    ///
    /// # Errors
    ///
    /// Describes what is invalid. For a classic cron expression of five fields, suggests the equivalent.
    pub(crate) fn parse(expression: &str) -> Result<Self, String> {
        let expression = expression.trim();
        if expression.is_empty() {
            return Err("a cron trigger requires `expression`, such as `0 */5 * * * *`".to_owned());
        }
        let fields = expression.split_whitespace().count();
        if fields == 5 && !expression.starts_with('@') {
            return Err(format!(
                "`{expression}` has five fields, but the first field must be the second: use `0 {expression}` (second, \
                 minute, hour, day of month, month, day of week; 1 is Sunday, so prefer names such as MON)"
            ));
        }
        match cron::Schedule::from_str(expression) {
            Ok(times) => Ok(Self { times }),
            Err(error) => {
                let detail = error.to_string();
                let detail = detail
                    .lines()
                    .map(str::trim)
                    .rfind(|line| !line.is_empty() && *line != "^" && *line != expression);
                let detail = detail.map_or_else(String::new, |detail| format!(": {detail}"));
                Err(format!(
                    "`{expression}` is not a cron expression of the form `second minute hour day-of-month month \
                     day-of-week [year]`{detail}"
                ))
            }
        }
    }

    /// Returns the first time after `time`, or `None` if the schedule has ended.
    pub(crate) fn next_after(&self, time: SystemTime) -> Option<SystemTime> {
        self.times.after(&DateTime::<Utc>::from(time)).next().map(SystemTime::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(expression: &str, from: &str) -> String {
        let from = DateTime::parse_from_rfc3339(from).unwrap().to_utc();
        let next = Schedule::parse(expression).unwrap().next_after(from.into());
        next.map_or_else(|| "never".to_owned(), |next| DateTime::<Utc>::from(next).to_rfc3339())
    }

    #[test]
    fn next_time_is_strictly_later() {
        let nine = "2026-01-05T09:00:00+00:00";
        assert_eq!(next("0 0 9 * * MON-FRI", "2026-01-05T08:59:59.999Z"), nine);
        assert_eq!(next("0 0 9 * * MON-FRI", nine), "2026-01-06T09:00:00+00:00");
        assert_eq!(next("@daily", nine), "2026-01-06T00:00:00+00:00");
        assert_eq!(next("0 0 9 * * 1", nine), "2026-01-11T09:00:00+00:00", "1 is Sunday");
        assert_eq!(next("0 0 0 1 1 * 2020", nine), "never");
    }

    #[test]
    fn five_fields_are_rejected_with_a_suggestion() {
        let error = Schedule::parse("0 9 * * 1").unwrap_err();
        assert!(error.contains("`0 0 9 * * 1`"), "{error}");
        assert!(Schedule::parse("0 0 9 * * 0").is_err());
        assert!(Schedule::parse("").unwrap_err().contains("expression"));
    }
}

//! The kind `cron`, and the grammar of its expressions: that of the engine, with seconds, and with Sunday as day 1.

use std::str::FromStr as _;

use ::cron::{Schedule, TimeUnitSpec as _};
use quote::quote;

use super::{ParsedTrigger, take_condition};
use crate::diagnostics::{Errors, unknown, with_carets};
use crate::options::{MacroOptions, string_or_path};

const OPTIONS: &[&str] = &["expression", "condition", "metadata", "crate"];

/// The shortcuts for common expressions.
const SHORTCUTS: &[&str] = &["@yearly", "@monthly", "@weekly", "@daily", "@hourly"];

/// The name of each field, and the values that it allows.
const FIELDS: [(&str, &str); 7] = [
    ("second", "0-59"),
    ("minute", "0-59"),
    ("hour", "0-23"),
    ("day of the month", "1-31"),
    ("month", "1-12 or JAN-DEC"),
    ("day of the week", "1 = Sunday to 7 = Saturday, or SUN-SAT"),
    ("year", "1970-2100"),
];

const EXAMPLE: &str = "0 0 9 * * MON-FRI";

/// Parses the options of a `cron` trigger.
pub(super) fn parse(options: &mut MacroOptions, errors: &mut Errors) -> Option<ParsedTrigger> {
    let positional = options.take_positional().or_else(|| {
        // The name of a constant parses as a flag.
        options.take_word_except(OPTIONS).map(|name| syn::parse_quote!(#name))
    });
    options.check(OPTIONS, errors);
    let expression = if options.has("expression") {
        if let Some(positional) = positional {
            errors.on(positional, "duplicate cron expression\nhelp: remove one of the two");
        }
        options.take_string_or_path("expression", EXAMPLE, errors)
    } else if let Some(positional) = positional {
        let example = format!("cron, \"{EXAMPLE}\"");
        string_or_path(&positional, "the cron expression", &example, errors)
    } else {
        let message = format!("missing cron expression\nhelp: write `cron, \"{EXAMPLE}\"`");
        errors.at_range(options.span, message);
        None
    };
    if let Some(literal) = expression.as_ref().and_then(|text| text.literal())
        && let Err(message) = check(&literal.value())
    {
        errors.on(literal, message);
    }
    let condition = take_condition(options, errors);
    let expression = expression?;
    Some(ParsedTrigger::new(quote! {
        __iii::trigger::Cron { expression: #expression, condition: #condition }
    }))
}

/// Checks an expression.
///
/// # Errors
///
/// What is invalid, and what to write instead.
fn check(expression: &str) -> Result<(), String> {
    let trimmed = expression.trim();
    if trimmed.starts_with('@') {
        if SHORTCUTS.contains(&trimmed) {
            return Ok(());
        }
        return Err(unknown("cron shortcut", trimmed, SHORTCUTS));
    }
    let fields = fields(expression);
    match fields.len() {
        6 | 7 => {}
        0 => {
            let help = "write \"0 0 9 * * *\" for 9:00 on each day";
            return Err(format!("the cron expression is empty\nhelp: {help}"));
        }
        5 => {
            return Err(format!(
                "expected 6 fields in the cron expression, found 5: the first is the second\n\
                 help: write \"0 {trimmed}\""
            ));
        }
        count => {
            return Err(format!(
                "expected 6 fields in the cron expression, or 7 with the year, found {count}\n\
                 help: write second, minute, hour, day of the month, month, day of the week"
            ));
        }
    }
    for (at, (start, field)) in fields.iter().enumerate() {
        if let Err(message) = check_field(at, field) {
            return Err(with_carets(&message, expression, *start, start + field.chars().count()));
        }
    }
    let schedule =
        Schedule::from_str(expression).map_err(|_| "unsupported cron expression".to_owned())?;
    if never_fires(&schedule) {
        let start = fields[3].0;
        let end = fields[4].0 + fields[4].1.chars().count();
        let message = "the trigger never fires: no selected month has such a day";
        return Err(with_carets(message, expression, start, end));
    }
    Ok(())
}

/// Splits an expression into its fields, each with the index of its first character.
fn fields(expression: &str) -> Vec<(usize, String)> {
    let mut fields: Vec<(usize, String)> = Vec::new();
    let mut previous = ' ';
    for (at, character) in expression.chars().enumerate() {
        if !character.is_whitespace() {
            if previous.is_whitespace() {
                fields.push((at, String::new()));
            }
            if let Some((_, field)) = fields.last_mut() {
                field.push(character);
            }
        }
        previous = character;
    }
    fields
}

/// Checks one field on its own, with `*` for all others.
fn check_field(at: usize, field: &str) -> Result<(), String> {
    let parses = |field: &str| {
        let mut all = ["*"; 7];
        all[at] = field;
        Schedule::from_str(&all.join(" ")).is_ok()
    };
    if parses(field) {
        return Ok(());
    }
    let (name, allowed) = FIELDS[at];
    let is_day_zero = at == 5
        && field.split([',', '-', '/']).any(|part| part == "0")
        && parses(&field.replace('0', "1"));
    if is_day_zero {
        return Err("invalid day of the week `0`: days are 1 = Sunday to 7 = Saturday; \
             prefer names, such as SUN or MON-FRI"
            .to_owned());
    }
    Err(format!("invalid {name} `{field}`: expected {allowed}, with `*`, lists, ranges and steps"))
}

/// Returns whether no day of the calendar matches.
fn never_fires(schedule: &Schedule) -> bool {
    const DAYS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let is_leap_year = |year: u32| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let has_leap_year = schedule.years().iter().any(is_leap_year);
    let days = |month: u32| match month {
        2 if !has_leap_year => 28,
        month => DAYS[month as usize - 1],
    };
    let first_day = schedule.days_of_month().iter().min().unwrap_or(1);
    !schedule.months().iter().any(|month| first_day <= days(month))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_expressions_pass() {
        for valid in [
            "0 0 9 * * MON-FRI",
            "0 */5 * * * *",
            "0 0 0 29 2 *",
            "0 0 0 31 * *",
            "0 0 0 1 1 ? 2030",
            "  0 0 9 * * 1,7 ",
            "0 0 9-17/2 * jan,feb Sun",
            "@daily",
        ] {
            assert_eq!(check(valid), Ok(()), "{valid}");
        }
    }

    #[test]
    fn invalid_field_is_named() {
        for (invalid, part) in [
            ("60 0 0 * * *", "invalid second"),
            ("0 60 0 * * *", "invalid minute"),
            ("0 0 24 * * *", "invalid hour"),
            ("0 0 0 32 * *", "invalid day of the month"),
            ("0 0 0 * 13 *", "invalid month"),
            ("0 0 0 * * 8", "invalid day of the week"),
            ("0 0 0 * * MUN", "invalid day of the week"),
            ("0 0 0 * * * 1900", "invalid year"),
            ("0 0 0 * * 0", "1 = Sunday"),
            ("0 0 0 * * 0-4", "1 = Sunday"),
        ] {
            let message = check(invalid).unwrap_err();
            assert!(message.contains(part), "{invalid}: {message}");
        }
    }

    #[test]
    fn number_of_fields_is_checked() {
        assert!(check("0 9 * * *").unwrap_err().contains("\"0 0 9 * * *\""));
        assert!(check("* * *").unwrap_err().contains("found 3"));
        assert!(check("").unwrap_err().contains("empty"));
        assert!(check("@dayly").unwrap_err().contains("did you mean `@daily`"));
    }

    #[test]
    fn expression_that_never_fires_is_rejected() {
        assert!(check("0 0 0 30 2 *").unwrap_err().contains("never fires"));
        assert!(check("0 0 0 31 4,6,9,11 *").unwrap_err().contains("never fires"));
        assert!(check("0 0 0 29 2 * 2027").unwrap_err().contains("never fires"));
        assert_eq!(check("0 0 0 29 2 * 2028"), Ok(()));
    }

    #[test]
    fn invalid_field_is_marked() {
        let message = check("0 0 25 * * *").unwrap_err();
        assert!(message.ends_with("  0 0 25 * * *\n      ^^"), "{message}");
    }
}

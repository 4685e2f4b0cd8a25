//! The kind `cron`, and the grammar of its expressions: that of the engine, with seconds, and with Sunday as day 1.

use std::str::FromStr as _;

use ::cron::{Schedule, TimeUnitSpec as _};
use quote::quote;

use super::{Parsed, condition};
use crate::diagnostics::{Errors, instead, pointed};
use crate::options::{Options, text};

/// The options of the kind.
const OPTIONS: &[&str] = &["expression", "condition", "metadata", "crate"];

/// The words for common expressions.
const SHORTCUTS: &[&str] = &["@yearly", "@monthly", "@weekly", "@daily", "@hourly"];

/// What the engine calls each field, with what may stand in it.
const FIELDS: [(&str, &str); 7] = [
    ("a second", "0-59"),
    ("a minute", "0-59"),
    ("an hour", "0-23"),
    ("a day of the month", "1-31"),
    ("a month", "1-12 or JAN-DEC"),
    ("a day of the week", "1 = Sunday to 7 = Saturday, or SUN-SAT"),
    ("a year", "1970-2100"),
];

/// Reads the options of a `cron` trigger.
pub(super) fn parse(options: &mut Options, errors: &mut Errors) -> Option<Parsed> {
    let example = "0 0 9 * * MON-FRI";
    let unnamed = options.take_positional().or_else(|| {
        // The name of a constant alone looks like a flag.
        options.take_word_except(OPTIONS).map(|name| syn::parse_quote!(#name))
    });
    options.check(OPTIONS, errors);
    let expression = if options.has("expression") {
        if let Some(unnamed) = unnamed {
            errors.on(unnamed, "the expression is given twice: keep one of them");
        }
        options.take_text("expression", example, errors)
    } else if let Some(unnamed) = unnamed {
        text(&unnamed, "expression", example, errors)
    } else {
        errors.between(
            options.place,
            format!("the trigger has no expression: write `cron, \"{example}\"`"),
        );
        None
    };
    if let Some(literal) = expression.as_ref().and_then(|text| text.literal())
        && let Err(message) = check(&literal.value())
    {
        errors.on(literal, message);
    }
    let condition = condition(options, errors);
    let expression = expression?;
    Some(Parsed::new(quote! {
        __iii::trigger::Cron { expression: #expression, condition: #condition }
    }))
}

/// Checks an expression.
///
/// # Errors
///
/// What is wrong with it, and what to write instead.
fn check(expression: &str) -> Result<(), String> {
    let trimmed = expression.trim();
    if trimmed.starts_with('@') {
        if SHORTCUTS.contains(&trimmed) {
            return Ok(());
        }
        let instead = instead(trimmed, SHORTCUTS, "the words are");
        return Err(format!("unknown word `{trimmed}`{instead}"));
    }
    let fields = fields(expression);
    match fields.len() {
        6 | 7 => {}
        0 => return Err("the expression is empty: \"0 0 9 * * *\" is nine o'clock each day".into()),
        5 => {
            let message = "the expression has 5 fields, but the first of 6 is the second";
            return Err(format!("{message}: write \"0 {trimmed}\""));
        }
        count => {
            let message = "the expression needs 6 fields, or 7 with the year";
            return Err(format!(
                "{message}, but has {count}: second minute hour day-of-month month day-of-week"
            ));
        }
    }
    for (at, (start, field)) in fields.iter().enumerate() {
        if let Err(message) = check_field(at, field) {
            return Err(pointed(&message, expression, *start, start + field.chars().count()));
        }
    }
    let schedule = Schedule::from_str(expression)
        .map_err(|_| "the expression is not one that the engine understands".to_owned())?;
    if never_fires(&schedule) {
        let start = fields[3].0;
        let end = fields[4].0 + fields[4].1.chars().count();
        let message = "none of these months has such a day, so the trigger would never fire";
        return Err(pointed(message, expression, start, end));
    }
    Ok(())
}

/// The fields, each with the character it begins at.
fn fields(expression: &str) -> Vec<(usize, String)> {
    let mut fields: Vec<(usize, String)> = Vec::new();
    let mut before = ' ';
    for (at, character) in expression.chars().enumerate() {
        if !character.is_whitespace() {
            if before.is_whitespace() {
                fields.push((at, String::new()));
            }
            if let Some((_, field)) = fields.last_mut() {
                field.push(character);
            }
        }
        before = character;
    }
    fields
}

/// Checks one field alone, with all others open.
fn check_field(at: usize, field: &str) -> Result<(), String> {
    let alone = |field: &str| {
        let mut all = ["*"; 7];
        all[at] = field;
        Schedule::from_str(&all.join(" ")).is_ok()
    };
    if alone(field) {
        return Ok(());
    }
    let (name, allowed) = FIELDS[at];
    let is_day_zero = at == 5
        && field.split([',', '-', '/']).any(|part| part == "0")
        && alone(&field.replace('0', "1"));
    if is_day_zero {
        return Err("there is no day 0 of the week: days go from 1 = Sunday to 7 = Saturday; \
             better write names, such as SUN or MON-FRI"
            .to_owned());
    }
    Err(format!("`{field}` is not {name}: expected {allowed}, with `*`, lists, ranges and steps"))
}

/// Whether no day of the calendar fits.
fn never_fires(schedule: &Schedule) -> bool {
    const LONGEST: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let leap = |year: u32| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let leap_year = schedule.years().iter().any(leap);
    let longest = |month: u32| match month {
        2 if !leap_year => 28,
        month => LONGEST[month as usize - 1],
    };
    let first_day = schedule.days_of_month().iter().min().unwrap_or(1);
    !schedule.months().iter().any(|month| first_day <= longest(month))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_expressions_pass() {
        for good in [
            "0 0 9 * * MON-FRI",
            "0 */5 * * * *",
            "0 0 0 29 2 *",
            "0 0 0 31 * *",
            "0 0 0 1 1 ? 2030",
            "  0 0 9 * * 1,7 ",
            "0 0 9-17/2 * jan,feb Sun",
            "@daily",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn the_wrong_field_is_named() {
        for (bad, part) in [
            ("60 0 0 * * *", "not a second"),
            ("0 60 0 * * *", "not a minute"),
            ("0 0 24 * * *", "not an hour"),
            ("0 0 0 32 * *", "not a day of the month"),
            ("0 0 0 * 13 *", "not a month"),
            ("0 0 0 * * 8", "not a day of the week"),
            ("0 0 0 * * MUN", "not a day of the week"),
            ("0 0 0 * * * 1900", "not a year"),
            ("0 0 0 * * 0", "1 = Sunday"),
            ("0 0 0 * * 0-4", "1 = Sunday"),
        ] {
            let message = check(bad).unwrap_err();
            assert!(message.contains(part), "{bad}: {message}");
        }
    }

    #[test]
    fn the_number_of_fields_is_checked() {
        assert!(check("0 9 * * *").unwrap_err().contains("\"0 0 9 * * *\""));
        assert!(check("* * *").unwrap_err().contains("but has 3"));
        assert!(check("").unwrap_err().contains("empty"));
        assert!(check("@dayly").unwrap_err().contains("did you mean `@daily`"));
    }

    #[test]
    fn a_day_that_never_comes_is_refused() {
        assert!(check("0 0 0 30 2 *").unwrap_err().contains("never fire"));
        assert!(check("0 0 0 31 4,6,9,11 *").unwrap_err().contains("never fire"));
        assert!(check("0 0 0 29 2 * 2027").unwrap_err().contains("never fire"));
        assert_eq!(check("0 0 0 29 2 * 2028"), Ok(()));
    }

    #[test]
    fn the_field_is_shown() {
        let message = check("0 0 25 * * *").unwrap_err();
        assert!(message.ends_with("  0 0 25 * * *\n      ^^"), "{message}");
    }
}

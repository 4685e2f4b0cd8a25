//! Options of one type: strings, numbers, durations, paths and arrays.

use syn::{Expr, ExprArray, ExprLit, Lit, LitStr, Path};

use super::{MacroOptions, StringOrPath, found, literal, path, string_or_path};
use crate::diagnostics::Errors;

/// A number that examples in messages show.
const EXAMPLE_INTEGER: u32 = 4;

impl MacroOptions {
    /// Takes the string of `name`, which must be a literal.
    pub(crate) fn take_str(
        &mut self,
        name: &str,
        example: &str,
        errors: &mut Errors,
    ) -> Option<LitStr> {
        let expr = self.take(name, errors)?;
        literal(&expr).or_else(|| {
            let message = format!(
                "expected a string for `{name}`, found {}\nhelp: write `{name} = \"{example}\"`",
                found(&expr)
            );
            errors.on(&expr, message);
            None
        })
    }

    /// Takes the string of `name`: a literal, or the path of a constant.
    pub(crate) fn take_string_or_path(
        &mut self,
        name: &str,
        example: &str,
        errors: &mut Errors,
    ) -> Option<StringOrPath> {
        let expr = self.take(name, errors)?;
        string_or_path(&expr, &format!("`{name}`"), &format!("{name} = \"{example}\""), errors)
    }

    /// Takes the integer of `name`, which must be at least `min`.
    pub(crate) fn take_integer(
        &mut self,
        name: &str,
        min: u32,
        errors: &mut Errors,
    ) -> Option<u32> {
        let expr = self.take(name, errors)?;
        let number = match &expr {
            Expr::Lit(ExprLit { lit: Lit::Int(int), .. }) => int.base10_parse::<u32>().ok(),
            _ => None,
        };
        match number {
            Some(number) if number >= min => Some(number),
            _ => {
                let message = format!(
                    "expected an integer of at least {min} for `{name}`, found {}\n\
                     help: write a number without quotes, such as `{name} = {EXAMPLE_INTEGER}`",
                    found(&expr)
                );
                errors.on(&expr, message);
                None
            }
        }
    }

    /// Takes the duration of `name`, in milliseconds: at least 1.
    pub(crate) fn take_duration(&mut self, name: &str, errors: &mut Errors) -> Option<u64> {
        let expr = self.take(name, errors)?;
        let text = literal(&expr);
        let duration = text.as_ref().and_then(|text| humantime::parse_duration(&text.value()).ok());
        let Some(duration) = duration else {
            let message = format!(
                "expected a duration for `{name}`, found {}\n\
                 help: write `{name} = \"30s\"`, `\"1m 30s\"` or `\"500ms\"`",
                found(&expr)
            );
            errors.on(&expr, message);
            return None;
        };
        let message = if duration.is_zero() {
            format!("`{name}` must be greater than zero\nhelp: remove `{name}` to set none")
        } else if duration.as_millis() == 0 {
            format!("`{name}` must be at least 1ms\nhelp: write `{name} = \"1ms\"` or more")
        } else {
            match u64::try_from(duration.as_millis()) {
                Ok(millis) => return Some(millis),
                Err(_) => format!("`{name}` exceeds the maximum of {}ms", u64::MAX),
            }
        };
        errors.on(&expr, message);
        None
    }

    /// Takes `true` or `false`.
    pub(crate) fn take_bool(&mut self, name: &str, errors: &mut Errors) -> Option<bool> {
        let expr = self.take(name, errors)?;
        match &expr {
            Expr::Lit(ExprLit { lit: Lit::Bool(bool), .. }) => Some(bool.value),
            _ => {
                let message =
                    format!("expected `true` or `false` for `{name}`, found {}", found(&expr));
                errors.on(&expr, message);
                None
            }
        }
    }

    /// Takes the path of `name`. `expected` says what the path refers to.
    pub(crate) fn take_path(
        &mut self,
        name: &str,
        expected: &str,
        example: &str,
        errors: &mut Errors,
    ) -> Option<Path> {
        let expr = self.take(name, errors)?;
        path(&expr, name, expected, &format!("{name} = {example}"), errors)
    }

    /// Takes the option `crate`: the path of the runtime.
    pub(crate) fn take_crate(&mut self, errors: &mut Errors) -> Option<Path> {
        self.take_path("crate", "a path", "::iii", errors)
    }

    /// Takes the array of `name`. `elements` says what it holds.
    pub(crate) fn take_array(
        &mut self,
        name: &str,
        elements: &str,
        example: &str,
        errors: &mut Errors,
    ) -> Option<ExprArray> {
        match self.take(name, errors)? {
            Expr::Array(array) => Some(array),
            other => {
                let message = format!(
                    "expected an array of {elements} for `{name}`, found {}\n\
                     help: write `{name} = {example}`",
                    found(&other)
                );
                errors.on(&other, message);
                None
            }
        }
    }
}

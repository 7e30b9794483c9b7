//! What `WAYPOST_*` variables say; an empty one says nothing.

use std::str::FromStr;

use anyhow::{Context, Result, bail};

/// A variable's text.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

/// Words between commas.
pub(super) fn words(name: &str) -> Option<Vec<String>> {
    variable(name).map(|text| text.split(',').map(|word| word.trim().to_owned()).collect())
}

/// A whole number of a unit.
pub(super) fn count<T>(name: &str, unit: &str) -> Result<Option<T>>
where
    T: FromStr<Err = std::num::ParseIntError>,
{
    let parse = |text: String| text.parse().with_context(|| format!("{name} is no number of {unit}"));
    variable(name).map(parse).transpose()
}

/// Numbers between commas, of what is `expected`.
pub(super) fn numbers(name: &str, expected: &str) -> Result<Option<Vec<f64>>> {
    let Some(text) = variable(name) else { return Ok(None) };
    let numbers: Option<Vec<f64>> = text.split(',').map(|word| word.trim().parse().ok()).collect();
    match numbers {
        Some(numbers) => Ok(Some(numbers)),
        None => bail!("{name} is `{text}`: expected {expected}, separated by commas"),
    }
}

/// One number, of what is `expected`.
pub(super) fn number(name: &str, expected: &str) -> Result<Option<f64>> {
    let Some(text) = variable(name) else { return Ok(None) };
    match text.trim().parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => bail!("{name} is `{text}`: expected {expected}"),
    }
}

/// What a variable switches on or off.
pub(super) fn switch(name: &str) -> Result<Option<bool>> {
    let Some(text) = variable(name) else { return Ok(None) };
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(Some(true)),
        "0" | "false" | "no" | "off" => Ok(Some(false)),
        _ => bail!("{name} is `{text}`: expected one of 1, true, yes, on, 0, false, no, off"),
    }
}

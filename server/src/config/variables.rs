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

/// Seconds, or other numbers, between commas.
pub(super) fn numbers(name: &str) -> Result<Option<Vec<f64>>> {
    let Some(text) = variable(name) else { return Ok(None) };
    let read = |word: &str| word.trim().parse::<f64>();
    let numbers = text.split(',').map(read).collect::<Result<_, _>>();
    numbers.map(Some).with_context(|| format!("{name} is `{text}`: expected seconds, separated by commas"))
}

/// One number.
pub(super) fn number(name: &str) -> Result<Option<f64>> {
    let numbers = numbers(name)?;
    if numbers.as_ref().is_some_and(|numbers| numbers.len() != 1) {
        bail!("{name} has several numbers: expected one");
    }
    Ok(numbers.and_then(|numbers| numbers.first().copied()))
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

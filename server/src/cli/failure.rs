//! What a failure is to whoever called: a line on standard error, JSON where that was asked for, and an exit code.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind as ClapKind;
use serde_json::json;
use waypost::upstream::RelayError;
use waypost_engine::api::{Error, ErrorKind};

use super::place::Refused;
use super::{NOTHING, REFUSED, UNAVAILABLE};
use crate::models::NoModel;
use crate::output::{self, BAD};

/// What was asked wrongly.
const USAGE: u8 = 2;

/// Tells why a command could not do what was asked.
pub fn tell(error: &anyhow::Error, for_programs: bool) -> ExitCode {
    let (message, code) = (output::causes(error), exit_code(error));
    if for_programs {
        tell_program(&message, code);
    }
    err!("{BAD}error{BAD:#}: {}", output::safe(&message));
    ExitCode::from(code)
}

/// Tells why a command line can't be read, or gives the help that it asks for.
pub fn tell_usage(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && asks_for_json(std::env::args_os()) {
        tell_program(&usage(error), USAGE);
    }
    // Who can't be told has gone.
    let _ = error.print();
    ExitCode::from(if error.use_stderr() { USAGE } else { 0 })
}

fn tell_program(message: &str, code: u8) {
    let told = json!({"error": {"message": message, "exit_code": code}});
    // Where that can't be written, standard error has it still.
    let _ = output::json(&told);
}

/// What comes after `--` is no flag.
fn asks_for_json(arguments: impl Iterator<Item = OsString>) -> bool {
    arguments.take_while(|argument| argument != "--").any(|argument| argument == "--json")
}

/// What is wrong, on one line and without the help around it.
fn usage(error: &clap::Error) -> String {
    if error.kind() == ClapKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "a command is missing: `--help` lists them".to_owned();
    }
    let rendered = error.render().to_string();
    let mut parts = rendered.split("\n\n").map(str::trim);
    let what = parts.next().unwrap_or_default().trim_start_matches("error: ");
    let tip = parts.next().filter(|part| part.starts_with("tip: ")).unwrap_or_default();
    let words: Vec<&str> = what.split_whitespace().chain(tip.split_whitespace()).collect();
    words.join(" ")
}

/// What could not be had is told apart from what was asked wrongly.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<NoModel>() {
        return UNAVAILABLE;
    }
    if let Some(refused) = error.downcast_ref::<Refused>() {
        return exit_code_of_refusal(refused.status, refused.code.as_deref());
    }
    match error.downcast_ref() {
        Some(RelayError::Broken { .. }) => return UNAVAILABLE,
        Some(RelayError::Refused { .. }) => return REFUSED,
        _ => {}
    }
    if let Some(waypost::serve::ServeError::Bind { .. }) = error.downcast_ref() {
        return UNAVAILABLE;
    }
    match error.downcast_ref::<Error>() {
        Some(Error::Net(error)) if error.may_pass() => UNAVAILABLE,
        Some(error) => exit_code_of(error.kind()),
        None => USAGE,
    }
}

/// As the same would end at home. An answer without a code is none of Waypost's: whoever should say something is not there.
fn exit_code_of_refusal(status: u16, code: Option<&str>) -> u8 {
    match (status, code) {
        (401 | 403, _) => REFUSED,
        (_, None) => UNAVAILABLE,
        (_, Some("budget_exceeded")) => NOTHING,
        (400 | 405 | 415 | 422, _) => USAGE,
        (408 | 424 | 429 | 502..=504, _) => UNAVAILABLE,
        _ => NOTHING,
    }
}

fn exit_code_of(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Invalid => USAGE,
        ErrorKind::Unauthorized | ErrorKind::Denied => REFUSED,
        ErrorKind::Unavailable => UNAVAILABLE,
        _ => NOTHING,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_refuses_ends_as_it_does_at_home() {
        for (status, code, exit_code) in [
            (400, Some("invalid_request"), USAGE),
            (403, Some("forbidden"), REFUSED),
            (404, Some("not_found"), NOTHING),
            (413, Some("too_large"), NOTHING),
            (429, Some("budget_exceeded"), NOTHING),
            (429, Some("rate_limited"), UNAVAILABLE),
            (424, Some("fetch_failed"), UNAVAILABLE),
            (401, None, REFUSED),
            (404, None, UNAVAILABLE),
            (200, None, UNAVAILABLE),
        ] {
            assert_eq!(exit_code_of_refusal(status, code), exit_code, "{status} {code:?}");
        }
    }
}

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
    anstream::eprintln!("{BAD}error{BAD:#}: {}", output::safe(&message));
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
        return exit_code_of_status(refused.status);
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

fn exit_code_of_status(status: u16) -> u8 {
    match status {
        400 | 405 | 413 | 415 | 422 => USAGE,
        401 | 403 => REFUSED,
        408 | 429 | 502..=504 => UNAVAILABLE,
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

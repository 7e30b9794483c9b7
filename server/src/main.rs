//! The `waypost` command.

// Its macros are for all rooms below.
#[macro_use]
mod output;

mod cli;
mod config;
mod eval;
mod logs;
mod models;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}

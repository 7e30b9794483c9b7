//! The `waypost` command.

mod cli;
mod config;
mod eval;
mod logs;
mod models;
mod output;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}

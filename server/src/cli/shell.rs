//! `waypost completions` and `waypost man`: what shells and manuals know of the command line, made from itself.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Globals, Outcome};
use crate::output;

/// Said below the flags of `waypost completions`.
const COMPLETIONS_EXAMPLES: &str = "Examples:\n  waypost completions bash > ~/.local/share/bash-completion/completions/waypost\n  \
                                    waypost completions fish > ~/.config/fish/completions/waypost.fish";

#[derive(Args)]
#[command(after_help = COMPLETIONS_EXAMPLES)]
pub struct CompletionsArgs {
    /// For which shell
    shell: Shell,
}

/// Said below the flags of `waypost man`.
const MAN_EXAMPLES: &str = "Examples:\n  waypost man | man -l -\n  waypost man --dir ~/.local/share/man/man1";

#[derive(Args)]
#[command(after_help = MAN_EXAMPLES)]
pub struct ManArgs {
    /// Write a page for each command into this folder, in place of printing the first one
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub fn completions(args: &CompletionsArgs) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "waypost", &mut script);
    output::raw(&script)?;
    Ok(0)
}

pub fn man(globals: &Globals, args: &ManArgs) -> Outcome {
    match &args.dir {
        Some(folder) => {
            write_pages(folder)?;
            output::done(globals.json, "written", &folder.display().to_string())?;
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            output::raw(&page)?;
        }
    }
    Ok(0)
}

fn write_pages(folder: &Path) -> anyhow::Result<()> {
    let in_folder = || format!("can't write manual pages into `{}`", folder.display());
    std::fs::create_dir_all(folder).with_context(in_folder)?;
    clap_mangen::generate_to(Cli::command(), folder).with_context(in_folder)
}

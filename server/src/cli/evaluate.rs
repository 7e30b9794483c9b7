//! `waypost eval KIND DIR`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{Globals, Outcome};
use crate::{config, eval, models, output};

/// Said below the flags.
const EXAMPLES: &str = "Examples:\n  waypost eval retrieval ./scifact --json\n  \
                        waypost eval routing ./clinc150 --shots 5\n\nA set without a file for `test` is taken as it \
                        is, or by the only split that it has.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct EvalArgs {
    /// What to measure
    kind: eval::Kind,
    /// Folder with the data set, or the name of one in `WAYPOST_DATASETS`
    dir: PathBuf,
    /// Split or language in the files' names
    #[arg(long)]
    split: Option<String>,
    /// For routing: use the first N examples of each route; 0 leaves descriptions alone [default: all]
    #[arg(long, value_name = "N")]
    shots: Option<usize>,
    /// Keep the indexed corpus here and start from it (the indexing speed then means nothing)
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Without a model: lexical search alone
    #[arg(long)]
    no_model: bool,
}

pub fn run(globals: &Globals, args: &EvalArgs) -> Outcome {
    let dir = data_set(&args.dir)?;
    let config = config::load(&dir, globals)?;
    let needs_none = args.no_model || matches!(args.kind, eval::Kind::Extraction);
    let embedder = if needs_none { None } else { Some(models::require(&config)?) };
    let set = eval::Set {
        folder: &dir,
        split: args.split.as_deref(),
        shots: args.shots,
        keep: args.keep.as_deref(),
    };
    let report = eval::run(args.kind, &set, embedder)?;
    if globals.json {
        output::json(&report)?;
    } else {
        out!("{}", report.table());
    }
    Ok(0)
}

/// A folder as it is, or the one of that name where the public sets are kept.
fn data_set(dir: &Path) -> anyhow::Result<PathBuf> {
    if dir.is_dir() {
        return Ok(dir.to_owned());
    }
    let kept = std::env::var_os("WAYPOST_DATASETS").map(|folder| Path::new(&folder).join(dir));
    kept.filter(|folder| folder.is_dir()).ok_or_else(|| {
        anyhow::anyhow!(
            "there is no data set `{}`: expected a folder, or a name in the folder that `WAYPOST_DATASETS` names (`datasets/manifest.toml` says where the sets come from)",
            dir.display()
        )
    })
}

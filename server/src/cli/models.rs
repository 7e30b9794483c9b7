//! `waypost models list|pull|bench`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::json;
use waypost_engine::embed::{Bert, Manifest, bench, resolve};

use super::home::locate;
use super::{Globals, Outcome};
use crate::config::{self, Config};
use crate::models::{self, NoModel};
use crate::output::{self, FAINT, GOOD, STRONG};

/// Said below the list of commands.
const EXAMPLES: &str = "Examples:\n  waypost models list\n  waypost models pull";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct ModelsArgs {
    #[command(subcommand)]
    command: ModelsCommand,
}

/// Said below the flags of `waypost models pull`.
const PULL_EXAMPLES: &str = "Examples:\n  waypost models pull\n  \
                             waypost models pull all-minilm-l6-v2 --refresh";

#[derive(Subcommand)]
enum ModelsCommand {
    /// The models, their licences, sizes and checksums
    #[command(after_help = "Example: waypost models list")]
    List,
    /// Fetch a model for offline use
    #[command(after_help = PULL_EXAMPLES)]
    Pull {
        /// Its name; the default model where it is missing
        name: Option<String>,
        /// Fetch even if it is here
        #[arg(long)]
        refresh: bool,
    },
    /// Speed on this machine, and how near that is to its limit
    #[command(after_help = "Example: waypost models bench --threads 2 --seconds 10")]
    Bench {
        /// One text a line, or a JSON array of texts; built-in ones where it is missing
        #[arg(long, value_name = "FILE")]
        texts: Option<PathBuf>,
        /// Threads
        #[arg(long, default_value_t = std::thread::available_parallelism().map_or(1, usize::from))]
        threads: usize,
        /// Seconds
        #[arg(long, default_value_t = 5)]
        seconds: u64,
        /// Other kernels than the fastest: `avx2` for 32-bit floats throughout, `avx2+i16` for linear layers in fixed point
        #[arg(long)]
        kernels: Option<String>,
    },
}

pub fn run(globals: &Globals, args: &ModelsArgs) -> Outcome {
    let home = locate(globals, Some(std::path::Path::new(".")))?;
    let config = config::load(&home, globals)?;
    match &args.command {
        ModelsCommand::List => list(globals, &config),
        ModelsCommand::Pull { name, refresh } => pull(globals, &config, name.as_deref(), *refresh),
        ModelsCommand::Bench { texts, threads, seconds, kernels } => {
            models::check(&config)?;
            let model = models::open_bert(&config, true, kernels.as_deref()).map_err(NoModel)?;
            measure(globals, &model, texts.as_ref(), *threads, Duration::from_secs(*seconds))
        }
    }
}

fn list(globals: &Globals, config: &Config) -> Outcome {
    let manifest = Manifest::built_in();
    let mut items = Vec::new();
    for spec in manifest.models() {
        let cached = resolve(spec, &models::sources(config, false), &mut |_| {});
        let files: Vec<_> = spec
            .files
            .iter()
            .map(|file| json!({"name": file.name, "size_bytes": file.size_bytes, "sha256": file.sha256}))
            .collect();
        items.push(json!({
            "name": spec.name,
            "default": spec.default,
            "license": spec.license,
            "languages": spec.languages,
            "dim": spec.dim,
            "max_tokens": spec.max_tokens,
            "pooling": format!("{:?}", spec.pooling).to_lowercase(),
            "hub": spec.hub,
            "revision": spec.revision,
            "size_bytes": spec.is_pinned().then(|| spec.size_bytes()),
            "files": files,
            "installed": cached.as_ref().ok().map(|resolved| resolved.folder.display().to_string()),
        }));
    }
    if globals.json {
        output::json(&json!({"items": items}))?;
        return Ok(0);
    }
    for item in &items {
        let text = |key: &str| item[key].as_str().unwrap_or("").to_owned();
        let size = item["size_bytes"]
            .as_u64()
            .map_or_else(|| "size unknown".to_owned(), |n| format!("{} MB", n / 1_000_000));
        let default = if item["default"] == true { " (default)" } else { "" };
        let here =
            if item["installed"].is_null() { "not here".to_owned() } else { format!("{GOOD}here{GOOD:#}") };
        out!(
            "{STRONG}{}{STRONG:#}{default}  {} numbers, {} tokens, {size}, {}, {here}",
            text("name"),
            item["dim"],
            item["max_tokens"],
            text("license"),
        );
        out!("  {FAINT}{} @ {}{FAINT:#}", text("hub"), text("revision"));
        for file in item["files"].as_array().into_iter().flatten() {
            let hash = file["sha256"].as_str().unwrap_or("recorded at the first pull");
            out!("  {FAINT}{:20} sha256 {hash}{FAINT:#}", file["name"].as_str().unwrap_or(""));
        }
    }
    Ok(0)
}

fn pull(globals: &Globals, config: &Config, name: Option<&str>, refresh: bool) -> Outcome {
    let manifest = Manifest::built_in();
    let spec = match name {
        Some(name) => manifest.get(name)?.clone(),
        None => models::spec(&manifest, config)?,
    };
    let sources = models::sources(config, true).refresh(refresh);
    let resolved = models::fetch(&spec, &sources).map_err(NoModel)?;
    if globals.json {
        let source = resolved.source.to_string();
        output::json(
            &json!({"name": spec.name, "folder": resolved.folder, "source": source, "id": resolved.id.to_string()}),
        )?;
    } else {
        out!(
            "{STRONG}{}{STRONG:#} is in {} (from {})",
            spec.name,
            resolved.folder.display(),
            resolved.source
        );
    }
    Ok(0)
}

fn measure(
    globals: &Globals,
    model: &Bert,
    texts: Option<&PathBuf>,
    threads: usize,
    time: Duration,
) -> Outcome {
    let lines: Vec<String> = match texts {
        Some(path) => {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("can't read `{}`", path.display()))?;
            // A JSON array of texts, or one text a line.
            serde_json::from_str(&text).unwrap_or_else(|_| {
                text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
            })
        }
        None => sample_texts(),
    };
    let texts: Vec<&str> = lines.iter().map(String::as_str).collect();
    let report = bench(model, &texts, threads, time).map_err(NoModel)?;
    if globals.json {
        output::json(&report)?;
        return Ok(0);
    }
    out!("{STRONG}{}{STRONG:#}  {} kernels, {} threads", report.model, report.kernels, report.threads);
    out!(
        "{:.1} chunks/s of {:.0} tokens, {:.0} tokens/s",
        report.chunks_per_second,
        report.mean_tokens,
        report.tokens_per_second
    );
    out!(
        "{:.0} GFLOP/s, {:.0} % of the measured peak of {:.0} in 32-bit floats",
        report.gflops,
        report.share_of_peak * 100.0,
        report.peak_gflops
    );
    out!("a query of {} tokens: {:.1} ms", report.query_tokens, report.query_ms);
    Ok(0)
}

/// Chunks of about 220 tokens, from this program's own demo company.
fn sample_texts() -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for file in super::demo::files() {
        if let Ok(text) = std::str::from_utf8(file.bytes) {
            words.extend(text.split_whitespace().map(str::to_owned));
        }
    }
    words.chunks(130).take(96).map(|chunk| chunk.join(" ")).collect()
}

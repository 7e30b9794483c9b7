//! `waypost import URL PATH`: what is behind a URL as a file, or the pages of a section as files of a folder.

use clap::Args;
use waypost_engine::api::{
    ImportReply, ImportRequest, ImportStatus, ImportedFile, ImportedSection, Recursive, WriteOptions,
};
use waypost_engine::change::Expected;
use waypost_engine::id::VersionId;

use super::{Globals, NOTHING, Outcome, home};
use crate::output::{self, BAD, FAINT, GOOD, ImportBar, STRONG};

/// Said below the flags.
const EXAMPLES: &str = "Examples:\n  waypost import https://example.com/handbook.pdf /docs/handbook.pdf\n  \
                        waypost import https://example.com/guide/ /docs/guide --recursive --depth 2\n\n\
                        Run it again to fetch only what has changed.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct ImportArgs {
    /// Where from; share links of Google Drive, Dropbox, GitHub and its gists work too
    url: String,
    /// Where to: a file, or with `--recursive` a folder
    path: String,
    /// Follow the links of the page within its section
    #[arg(long)]
    recursive: bool,
    /// Links from the first page at most [default: 3]
    #[arg(long, value_name = "N", requires = "recursive")]
    depth: Option<u32>,
    /// Pages at most [default: 100]
    #[arg(long, value_name = "N", requires = "recursive")]
    max_pages: Option<usize>,
    /// Follow links over the whole site, not only below the page's folder
    #[arg(long, requires = "recursive")]
    whole_site: bool,
    /// Fetch all of it anew, whether it has changed or not
    #[arg(long)]
    no_refresh: bool,
    /// Only where this version stands there
    #[arg(long, value_name = "VERSION")]
    if_version: Option<String>,
    /// Bytes of one file at most [default: what the setting `max_file_bytes` says, and no more than 67108864]
    #[arg(long, value_name = "N")]
    max_bytes: Option<u64>,
    /// Only this media type, such as `application/pdf` or `text/*`; may be given several times
    #[arg(long, value_name = "TYPE")]
    accept: Vec<String>,
    /// Seconds for all of it, at most 600 [default: 120, with `--recursive` 300]
    #[arg(long, value_name = "N")]
    timeout: Option<u64>,
}

pub fn run(globals: &Globals, args: &ImportArgs) -> Outcome {
    if globals.offline {
        anyhow::bail!("`--offline` fetches nothing, and an import is a fetch; leave one of the two out");
    }
    let version = args.if_version.as_deref().map(VersionId::parse).transpose();
    let version = version.map_err(waypost_engine::api::Error::from)?;
    let expected = version.map_or(Expected::Any, |version| Expected::OneOf(vec![version]));
    let request = ImportRequest {
        recursive: args.recursive.then_some(Recursive {
            depth: args.depth,
            max_pages: args.max_pages,
            same_prefix: !args.whole_site,
        }),
        refresh: !args.no_refresh,
        max_bytes: args.max_bytes,
        accept: args.accept.clone(),
        timeout_seconds: args.timeout,
        ..ImportRequest::new(&args.url, &args.path)
    };
    let session = home::owner(globals)?;
    let bar = ImportBar::new();
    let options = WriteOptions { expected, ..WriteOptions::default() };
    let imported = session.import(&request, &options, &mut |progress| bar.show(progress));
    bar.finish();
    let reply = imported?;
    if globals.json {
        output::json(&reply)?;
    }
    match reply {
        ImportReply::File(file) if !globals.json => show_file(&file),
        ImportReply::Section(section) => {
            if !globals.json {
                show_section(&section);
            }
            return Ok(if section.items.is_empty() { NOTHING } else { 0 });
        }
        ImportReply::File(_) => {}
    }
    Ok(0)
}

fn show_file(file: &ImportedFile) {
    let did = match file.status {
        ImportStatus::Created => "created  ",
        ImportStatus::Updated => "updated  ",
        ImportStatus::Unchanged => "unchanged",
    };
    let (path, mime_type) = (output::safe(&file.path), output::safe(&file.mime_type));
    out!("{GOOD}{did}{GOOD:#} {STRONG}{path}{STRONG:#} {FAINT}{mime_type}, {} bytes{FAINT:#}", file.size);
}

fn show_section(section: &ImportedSection) {
    section.items.iter().for_each(show_file);
    for failure in &section.failures {
        let (url, detail) = (output::safe(&failure.url), output::safe(&failure.detail));
        out!("{BAD}failed   {BAD:#} {url} {FAINT}{detail}{FAINT:#}");
    }
    if let Some(why) = section.cut {
        err!("{FAINT}note: pages were left out ({why}){FAINT:#}");
    }
}

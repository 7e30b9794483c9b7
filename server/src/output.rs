//! What a person at a terminal sees: bars on stderr, colour where it is a terminal, JSON for programs.

use std::fmt::{Arguments, Display};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::OnceLock;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use waypost_engine::api::{Error, ImportProgress};
use waypost_engine::ingest::{Progress, Stage};

use crate::logs::{self, LogFormat};

/// Prints a line on standard output, without colours where that is no terminal.
macro_rules! out {
    ($($text:tt)*) => { $crate::output::print(format_args!($($text)*)) };
}

/// Prints a line on standard error, as `out` does on the other one.
macro_rules! err {
    ($($text:tt)*) => { $crate::output::print_aside(format_args!($($text)*)) };
}

/// Why standard output could not be written, once it could not.
static UNWRITTEN: OnceLock<io::Error> = OnceLock::new();

/// Paths, headings.
pub const STRONG: Style = AnsiColor::Cyan.on_default().bold();
/// What is less important.
pub const FAINT: Style = Style::new().dimmed();
/// What matched.
pub const MATCH: Style = AnsiColor::Yellow.on_default().bold();
/// What went wrong.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// What went well.
pub const GOOD: Style = AnsiColor::Green.on_default();

/// What `out` does. What could not be written is told in the end, by [`written`].
pub fn print(line: Arguments<'_>) {
    if let Err(error) = writeln!(anstream::stdout().lock(), "{line}")
        && error.kind() != ErrorKind::BrokenPipe
    {
        // The first reason is the one that counts.
        UNWRITTEN.get_or_init(|| error);
    }
}

/// What `err` does. Where standard error can't be written there is nobody to tell.
pub fn print_aside(line: Arguments<'_>) {
    let _ = writeln!(anstream::stderr().lock(), "{line}");
}

/// Whether all of `out` reached standard output. A reader that has seen enough is no failure.
pub fn written() -> anyhow::Result<()> {
    match UNWRITTEN.get() {
        Some(error) => Err(unwritten(io::Error::new(error.kind(), error.to_string()))),
        None => Ok(()),
    }
}

fn unwritten(source: io::Error) -> anyhow::Error {
    Error::Output { what: "to standard output", source }.into()
}

/// Prints a value as one line of JSON.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    raw(&line)
}

/// Where what is told to people goes: a program that asked for JSON has standard output for itself.
#[derive(Debug, Clone, Copy)]
pub struct Voice {
    for_programs: bool,
}

impl Voice {
    /// For people, or beside what programs get.
    pub fn new(for_programs: bool) -> Self {
        Self { for_programs }
    }

    /// Tells something.
    pub fn say(self, text: impl Display) {
        if self.for_programs {
            err!("{text}");
        } else {
            out!("{text}");
        }
    }
}

/// Says on standard error what is good to know beside the answer: as a line of the log, where that is read by a program.
pub fn note(text: &str) {
    if logs::format() == Some(LogFormat::Json) {
        tracing::warn!("{text}");
        return;
    }
    err!("{FAINT}note: {}{FAINT:#}", safe(text));
}

/// What went wrong, outermost first; a cause that was told already is not told again.
pub fn causes(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !told.contains(&cause) {
            told = if told.is_empty() { cause } else { format!("{told}: {cause}") };
        }
    }
    told
}

/// Prints a list: as one object for programs, as a line for each item for people.
pub fn list<T: Serialize>(for_programs: bool, items: &[T], line: impl Fn(&T)) -> anyhow::Result<()> {
    if for_programs {
        return json(&serde_json::json!({"items": items}));
    }
    if items.is_empty() {
        err!("{FAINT}none{FAINT:#}");
    }
    items.iter().for_each(line);
    Ok(())
}

/// Prints one thing: as an object for programs, as `show` does for people.
pub fn one<T: Serialize>(for_programs: bool, item: &T, show: impl Fn(&T)) -> anyhow::Result<()> {
    if for_programs {
        return json(item);
    }
    show(item);
    Ok(())
}

/// Says what was done to one thing, such as `removed` and its id.
pub fn done(for_programs: bool, did: &str, what: &str) -> anyhow::Result<()> {
    if for_programs {
        return json(&serde_json::json!({did: what}));
    }
    out!("{did} {STRONG}{}{STRONG:#}", safe(what));
    Ok(())
}

/// Free text that follows on a line: two spaces and the text, or nothing.
pub fn aside(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("  {}", safe(text)) }
}

/// Writes bytes to standard output as they are. A reader that has seen enough is no failure.
pub fn raw(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(source) if source.kind() != ErrorKind::BrokenPipe => Err(unwritten(source)),
        _ => Ok(()),
    }
}

/// Prints a unified difference: coloured and made safe on a terminal, and as it is anywhere else, for there it may be
/// a patch that somebody wants to apply.
pub fn diff(text: &str) -> anyhow::Result<()> {
    if !io::stdout().is_terminal() {
        return raw(text.as_bytes());
    }
    for line in text.lines() {
        let style = match line.as_bytes().first() {
            Some(b'+') => GOOD,
            Some(b'-') => BAD,
            Some(b'@') => FAINT,
            _ => Style::new(),
        };
        out!("{style}{}{style:#}", safe(line));
    }
    Ok(())
}

/// Control characters, and those that turn the direction of writing, would let a file's name or text draw on the
/// terminal; they are shown as what they are.
pub fn safe(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => ' ',
            c if c.is_control()
                || matches!(c as u32, 0x200B..=0x200F | 0x202A..=0x202E | 0x2066..=0x2069 | 0xFEFF) =>
            {
                '\u{FFFD}'
            }
            c => c,
        })
        .collect()
}

/// A bar per stage; nothing where stderr is no terminal.
pub struct Bar {
    inner: Option<(Stage, ProgressBar)>,
    begun: std::time::Instant,
}

impl Bar {
    /// Not yet visible.
    pub fn new() -> Self {
        Self { inner: None, begun: std::time::Instant::now() }
    }

    /// Moves to where the work is.
    pub fn show(&mut self, progress: Progress) {
        let is_same = self.inner.as_ref().is_some_and(|(stage, _)| *stage == progress.stage);
        if !is_same {
            self.finish();
            let (label, unit) = match progress.stage {
                Stage::Scanning => ("scanning ", "files"),
                Stage::Reading => ("reading  ", "files"),
                Stage::Embedding => ("embedding", "chunks"),
            };
            let target = if io::stderr().is_terminal() {
                ProgressDrawTarget::stderr()
            } else {
                ProgressDrawTarget::hidden()
            };
            let bar = ProgressBar::with_draw_target(Some(progress.total), target);
            let template =
                format!("{{prefix}} [{{bar:32}}] {{pos}}/{{len}} {unit} · {{per_sec}} · {{eta}} left");
            let style =
                ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(style.progress_chars("█▉▊▋▌▍▎▏ "));
            bar.set_prefix(label);
            bar.enable_steady_tick(Duration::from_millis(200));
            self.inner = Some((progress.stage, bar));
        }
        if let Some((_, bar)) = &self.inner {
            bar.set_length(progress.total);
            bar.set_position(progress.done);
        }
    }

    /// Takes the bar away.
    pub fn finish(&mut self) {
        if let Some((_, bar)) = self.inner.take() {
            bar.finish_and_clear();
        }
    }

    /// Since the bar was made.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}

/// A line that tells how far an import is; nothing where stderr is no terminal.
pub struct ImportBar(ProgressBar);

impl ImportBar {
    /// Not yet visible.
    pub fn new() -> Self {
        let target = match io::stderr().is_terminal() {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(None, target);
        let style =
            ProgressStyle::with_template("{prefix} [{bar:32}] {bytes}/{total_bytes} · {bytes_per_sec}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("█▉▊▋▌▍▎▏ "));
        bar.set_prefix("fetching");
        Self(bar)
    }

    /// Moves to where the work is.
    pub fn show(&self, progress: &ImportProgress) {
        if progress.pages > 0 {
            let known = progress.pages + progress.waiting_pages;
            self.0.set_prefix(format!("page {} of {known} known", progress.pages));
        }
        if let Some(total) = progress.total_bytes {
            self.0.set_length(total);
        }
        self.0.set_position(progress.bytes);
    }

    /// Takes it away.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}

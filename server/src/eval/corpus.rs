//! A corpus as a workspace of plain files, indexed by the very way that users' files go.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use waypost_engine::api::{Engine, EngineOptions, IndexReport, Session};
use waypost_engine::embed::Embedder;
use waypost_engine::id::WorkspaceName;
use waypost_engine::text::{SkipReason, mime_type};

use super::data::Document;
use crate::output::{self, Bar};

/// An indexed corpus.
pub struct Corpus {
    session: Session,
    id_of_path: HashMap<String, String>,
    /// Bytes of a file before its document's text begins.
    text_start: HashMap<String, usize>,
    /// Whether meaning is searched, too.
    pub has_model: bool,
    /// Documents.
    pub n_documents: usize,
    /// From the first byte to the last vector.
    pub indexing: Duration,
    _temporary: Option<tempfile::TempDir>,
}

impl Corpus {
    /// Writes each document as a file, title first, and indexes them. With `keep`, the home stays there and embeddings
    /// are known to the next run, which makes its indexing time meaningless.
    pub fn build(
        documents: &[Document],
        embedder: Option<Arc<dyn Embedder>>,
        keep: Option<&Path>,
    ) -> Result<Self> {
        let temporary = if keep.is_none() { Some(tempfile::tempdir()?) } else { None };
        let home: PathBuf = match (keep, &temporary) {
            (Some(folder), _) => folder.to_owned(),
            (None, Some(temporary)) => temporary.path().to_owned(),
            (None, None) => anyhow::bail!("no folder for the corpus"),
        };
        let has_model = embedder.is_some();
        let engine = Arc::new(Engine::open(EngineOptions::new(&home).embedder(embedder))?);
        let name = WorkspaceName::new("corpus")?;
        engine.create_workspace(&name)?;
        let root = home.join("workspaces").join("corpus");
        let (mut id_of_path, mut text_start) = (HashMap::new(), HashMap::new());
        for (document_idx, document) in documents.iter().enumerate() {
            let file = format!("{document_idx:07}.txt");
            let page = Page::new(document);
            write_if_other(&root.join(&file), page.content.as_bytes())?;
            text_start.insert(document.id.clone(), page.text_start);
            id_of_path.insert(format!("/corpus/{file}"), document.id.clone());
        }
        let begun = Instant::now();
        let mut bar = Bar::new();
        let report = engine.index(&name, &AtomicBool::new(false), &mut |progress| bar.show(progress))?;
        bar.finish();
        let corpus = Self {
            session: engine.owner_session(),
            id_of_path,
            text_start,
            has_model,
            n_documents: documents.len(),
            indexing: begun.elapsed(),
            _temporary: temporary,
        };
        corpus.tell_skipped(&report);
        Ok(corpus)
    }

    /// A document without text is lost to every search; any other one that is left out is told.
    fn tell_skipped(&self, report: &IndexReport) {
        let lost = report.skipped.iter().filter(|(_, code, _)| code != SkipReason::Empty.code());
        let lost: Vec<(&str, &str)> = lost
            .filter_map(|(path, _, reason)| Some((self.id(&format!("/corpus/{path}"))?, reason.as_str())))
            .collect();
        if let Some((id, reason)) = lost.first() {
            output::note(&format!("{} documents are not indexed, such as `{id}`: {reason}", lost.len()));
        }
    }

    /// Asks this corpus.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The document behind a path.
    pub fn id(&self, path: &str) -> Option<&str> {
        self.id_of_path.get(path).map(String::as_str)
    }

    /// Where a document's text begins in its file, in bytes.
    pub fn text_start(&self, id: &str) -> usize {
        self.text_start.get(id).copied().unwrap_or(0)
    }
}

/// A document as a file: title first. A text is a text here, whatever it looks like.
struct Page {
    content: String,
    /// In bytes; from here on every character lies where it lies in the document's text.
    text_start: usize,
}

impl Page {
    fn new(document: &Document) -> Self {
        let head = if document.title.is_empty() { String::new() } else { format!("{}\n\n", document.title) };
        let content: String = head.chars().chain(document.text.chars()).map(visible).collect();
        let mut page = Self { content, text_start: head.len() };
        if !page.is_text() {
            // What makes another format of it stands at its very beginning.
            page.content.insert(0, ' ');
            page.text_start += 1;
        }
        if !page.is_text() {
            page.content = page.content.replace("%PDF-", " PDF-");
        }
        page
    }

    fn is_text(&self) -> bool {
        mime_type("page.txt", self.content.as_bytes()) == "text/plain"
    }
}

/// A control character as a blank of the same length, for a file with some of them is taken for a binary one.
fn visible(c: char) -> char {
    match c {
        '\n' | '\r' | '\t' | '\u{c}' => c,
        c if c.is_ascii_control() => ' ',
        c if c.is_control() => '\u{a0}',
        c => c,
    }
}

/// A file that already holds these bytes keeps its modification time, and so its place in the index.
fn write_if_other(path: &Path, bytes: &[u8]) -> Result<()> {
    if std::fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    std::fs::write(path, bytes).with_context(|| format!("can't write `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_a_text_whatever_it_looks_like() {
        let texts = [
            "%PDF-1.4 a feather",
            "\n%PDF-1.4 a feather endobj",
            "PK\u{3}\u{4} a feather",
            "{\\rtf a feather",
            "RIFFabcdWAVE a feather",
            "nul\0 \u{1}\u{2}\u{1b}$B\u{85} a feather",
        ];
        for (text, title) in texts.iter().flat_map(|text| [(*text, ""), (*text, "Birds"), ("plain", *text)]) {
            let document = Document { id: "a".to_owned(), title: title.to_owned(), text: text.to_owned() };
            let page = Page::new(&document);
            assert!(page.is_text(), "{text:?} {title:?}");
            assert_eq!(page.content.len(), page.text_start + text.len(), "{text:?} {title:?}");
            if let Some(at) = text.find("feather") {
                assert_eq!(page.content.find("feather").map(|found| found - page.text_start), Some(at));
            }
        }
        let plain = Document { id: "a".to_owned(), title: "T".to_owned(), text: "a\tb".to_owned() };
        assert_eq!(Page::new(&plain).content, "T\n\na\tb");
    }
}

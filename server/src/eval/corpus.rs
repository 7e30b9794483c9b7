//! A corpus as a workspace of plain files, indexed by the very way that users' files go.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use waypost_engine::api::{Engine, EngineOptions, Session};
use waypost_engine::embed::Embedder;
use waypost_engine::id::WorkspaceName;

use super::data::Document;
use crate::output::Bar;

/// An indexed corpus.
pub struct Corpus {
    session: Session,
    id_of_path: HashMap<String, String>,
    /// Bytes of a file before its document's text begins.
    text_start: HashMap<String, usize>,
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
        let engine = Arc::new(Engine::open(EngineOptions::new(&home).embedder(embedder))?);
        let name = WorkspaceName::new("corpus")?;
        engine.create_workspace(&name)?;
        let root = home.join("workspaces").join("corpus");
        let (mut id_of_path, mut text_start) = (HashMap::new(), HashMap::new());
        for (document_idx, document) in documents.iter().enumerate() {
            let file = format!("{document_idx:07}.txt");
            let head =
                if document.title.is_empty() { String::new() } else { format!("{}\n\n", document.title) };
            let content = format!("{head}{}", document.text);
            write_if_other(&root.join(&file), content.as_bytes())?;
            text_start.insert(document.id.clone(), head.len());
            id_of_path.insert(format!("/corpus/{file}"), document.id.clone());
        }
        let begun = Instant::now();
        let mut bar = Bar::new();
        engine.index(&name, &AtomicBool::new(false), &mut |progress| bar.show(progress))?;
        bar.finish();
        Ok(Self {
            session: engine.owner_session(),
            id_of_path,
            text_start,
            n_documents: documents.len(),
            indexing: begun.elapsed(),
            _temporary: temporary,
        })
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

/// A file that already holds these bytes keeps its modification time, and so its place in the index.
fn write_if_other(path: &Path, bytes: &[u8]) -> Result<()> {
    if std::fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    std::fs::write(path, bytes).with_context(|| format!("can't write `{}`", path.display()))
}

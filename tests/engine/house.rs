//! Homes, workspaces and an embedder for the other modules.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tempfile::TempDir;
use waypost_engine::api::{
    AskRequest, Engine, EngineOptions, IndexReport, SearchReply, SearchRequest, Session,
};
use waypost_engine::embed::{EmbedError, Embedder, Manifest, ModelId};
use waypost_engine::id::WorkspaceName;
use waypost_engine::index::terms;
use waypost_engine::search::Mode;

/// Numbers in a vector of [`WordTable`].
pub const DIM: usize = 64;

/// An embedder from a table of words: each word has a fixed random direction, a text is the sum of its words'. Words of
/// one line of [`SYNONYMS`] share a direction, so that meaning can be told from wording.
pub struct WordTable {
    id: ModelId,
    /// Texts embedded so far.
    pub n_embedded: AtomicUsize,
    /// Rounds of useless work per text, to make a run long enough to be killed.
    pub effort: usize,
    fails: AtomicBool,
}

const SYNONYMS: &[&[&str]] =
    &[&["car", "automobil", "vehicl"], &["doctor", "physician"], &["money", "cash", "fund"]];

impl WordTable {
    pub fn new() -> Self {
        Self::with_effort(0)
    }

    pub fn with_effort(effort: usize) -> Self {
        let spec = Manifest::built_in().default_model().clone();
        let id = ModelId::new(&spec, &"0".repeat(64), &"1".repeat(64)).expect("two hashes of 64 digits");
        Self { id, n_embedded: AtomicUsize::new(0), effort, fails: AtomicBool::new(false) }
    }

    /// From now on it embeds no document.
    pub fn fail(&self) {
        self.fails.store(true, Ordering::Relaxed);
    }

    /// The same table under the name of other weights.
    pub fn other_model() -> Self {
        let spec = Manifest::built_in().default_model().clone();
        let id = ModelId::new(&spec, &"0".repeat(64), &"2".repeat(64)).expect("two hashes of 64 digits");
        Self { id, ..Self::new() }
    }

    fn direction(word: &str) -> [f32; DIM] {
        let name = SYNONYMS.iter().find(|words| words.contains(&word)).map_or(word, |words| words[0]);
        let mut reader = blake3::Hasher::new().update(name.as_bytes()).finalize_xof();
        let mut bytes = [0u8; DIM * 2];
        reader.fill(&mut bytes);
        std::array::from_fn(|i| f32::from(i16::from_le_bytes([bytes[2 * i], bytes[2 * i + 1]])) / 32768.0)
    }

    fn embed(&self, text: &str) -> Vec<f32> {
        self.n_embedded.fetch_add(1, Ordering::Relaxed);
        let mut spent = [0u8; 32];
        for _ in 0..self.effort {
            spent = *blake3::hash(&spent).as_bytes();
        }
        let mut sum = vec![f32::from(spent[0]) * 1e-30; DIM];
        sum[0] += 1e-3;
        for term in terms(text) {
            sum.iter_mut().zip(Self::direction(&term.text)).for_each(|(sum, value)| *sum += value);
        }
        let norm = sum.iter().map(|value| value * value).sum::<f32>().sqrt();
        sum.iter().map(|value| value / norm).collect()
    }
}

impl Embedder for WordTable {
    fn id(&self) -> &ModelId {
        &self.id
    }

    fn dim(&self) -> usize {
        DIM
    }

    fn max_tokens(&self) -> usize {
        256
    }

    fn embed_documents(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(EmbedError::Manifest { reason: "the table is out of order".to_owned() });
        }
        Ok(texts.iter().map(|text| self.embed(text)).collect())
    }

    fn embed_query(&self, text: &str) -> Result<Vec<f32>, EmbedError> {
        Ok(self.embed(text))
    }

    fn count_tokens(&self, text: &str) -> usize {
        terms(text).len() + 2
    }
}

/// A home with one workspace `w`, whose folder is a plain tree.
pub struct House {
    pub folder: TempDir,
    pub engine: Arc<Engine>,
    pub table: Option<Arc<WordTable>>,
}

impl House {
    /// From a fixture: `//- path` starts a file.
    pub fn new(fixture: &str) -> Self {
        Self::open(fixture, Some(Arc::new(WordTable::new())))
    }

    /// Without a model.
    pub fn lexical(fixture: &str) -> Self {
        Self::open(fixture, None)
    }

    fn open(fixture: &str, table: Option<Arc<WordTable>>) -> Self {
        let folder = TempDir::new().unwrap();
        let root = folder.path().join("workspaces/w");
        fs::create_dir_all(&root).unwrap();
        for (path, text) in files(fixture) {
            write(&root, &path, text.as_bytes());
        }
        let engine = open(folder.path(), table.clone());
        let house = Self { folder, engine, table };
        house.index();
        house
    }

    /// The workspace's folder.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("workspaces/w")
    }

    pub fn write(&self, path: &str, text: &str) {
        write(&self.root(), path, text.as_bytes());
    }

    pub fn index(&self) -> IndexReport {
        index(&self.engine)
    }

    pub fn session(&self) -> Session {
        self.engine.owner_session()
    }

    pub fn search(&self, query: &str) -> SearchReply {
        self.search_in(query, Mode::Hybrid, 10)
    }

    pub fn search_in(&self, query: &str, mode: Mode, limit: usize) -> SearchReply {
        search(&self.session(), query, mode, limit)
    }

    pub fn ask(&self, question: &str) -> waypost_engine::api::AskReply {
        self.session().ask(&AskRequest { question: question.to_owned(), ..AskRequest::default() }).unwrap()
    }

    pub fn n_embedded(&self) -> usize {
        self.table.as_ref().map_or(0, |table| table.n_embedded.load(Ordering::Relaxed))
    }
}

pub fn name() -> WorkspaceName {
    WorkspaceName::new("w").unwrap()
}

pub fn open(home: &Path, table: Option<Arc<WordTable>>) -> Arc<Engine> {
    let embedder = table.map(|table| table as Arc<dyn Embedder>);
    let engine = Engine::open(EngineOptions::new(home).embedder(embedder)).unwrap();
    engine.create_workspace(&name()).unwrap();
    Arc::new(engine)
}

pub fn index(engine: &Engine) -> IndexReport {
    engine.index(&name(), &AtomicBool::new(false), &mut |_| {}).unwrap()
}

pub fn search(session: &Session, query: &str, mode: Mode, limit: usize) -> SearchReply {
    let request =
        SearchRequest { query: query.to_owned(), mode, limit: Some(limit), ..SearchRequest::default() };
    session.search(&request).unwrap()
}

/// Paths of the hits, best first.
pub fn paths(reply: &SearchReply) -> Vec<&str> {
    reply.results.iter().map(|hit| hit.citation.path.strip_prefix("/w/").unwrap()).collect()
}

/// A fixture's files.
pub fn files(fixture: &str) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = Vec::new();
    for line in fixture.lines() {
        match (line.strip_prefix("//- "), out.last_mut()) {
            (Some(path), _) => out.push((path.to_owned(), String::new())),
            (None, Some((_, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => assert!(line.trim().is_empty(), "a fixture begins with `//- path`"),
        }
    }
    out
}

pub fn write(root: &Path, path: &str, bytes: &[u8]) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// A tree of `n` generated files that speak about different things, for tests that need many.
pub fn library(n: usize) -> HashMap<String, String> {
    let nouns = [
        "harbour", "kettle", "lantern", "meadow", "engine", "violin", "orchard", "anvil", "compass", "ferry",
    ];
    let verbs = [
        "repairs", "paints", "measures", "carries", "forgets", "orders", "weighs", "sells", "borrows",
        "cleans",
    ];
    (0..n)
        .map(|i| {
            let line = |k: usize| {
                let (a, b) = (nouns[(i * 7 + k) % 10], nouns[(i * 3 + k * k + 1) % 10]);
                format!(
                    "Worker {i} {} the {a} beside the {b} on day {}.",
                    verbs[(i + k * 3) % 10],
                    k * 17 + i
                )
            };
            let body: Vec<String> = (0..12).map(line).collect();
            (format!("d{}/file{i:03}.md", i % 7), format!("# Record {i}\n\n{}\n", body.join("\n\n")))
        })
        .collect()
}

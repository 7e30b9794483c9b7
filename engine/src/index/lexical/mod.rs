//! The tantivy index of one workspace: the store of record for both arms, and the only place that names tantivy.
//!
//! A document is a chunk. Fields: `file` and `ord` (numbers, to find and to name it), `place` (a hash
//! of its path, the last word on ties), `body` (terms with places),
//! `record` (what a hit shows) and `vector`, which [`plugin`] keeps as a file of its own in each segment.

mod damage;
mod plugin;
mod ranking;
mod reader;
mod scope;
mod writer;

use std::path::Path;
use std::sync::Arc;

use tantivy::directory::MmapDirectory;
use tantivy::schema::{Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::{Token, TokenStream, Tokenizer};
use tantivy::{Index, IndexSettings};

pub use ranking::{Bm25Query, Held};
pub use reader::{LexicalQuery, Searcher};
pub use scope::{DocSet, FileSet};
pub use writer::{Stale, WorkspaceIndex};

use super::IndexError;

const TOKENIZER: &str = "waypost";

impl From<tantivy::TantivyError> for IndexError {
    fn from(error: tantivy::TantivyError) -> Self {
        Self::Engine(Box::new(error))
    }
}

impl From<std::io::Error> for IndexError {
    fn from(error: std::io::Error) -> Self {
        Self::Engine(Box::new(error))
    }
}

/// The numbers by which tantivy knows our fields.
#[derive(Debug, Clone, Copy)]
struct Fields {
    file: Field,
    ord: Field,
    place: Field,
    body: Field,
    record: Field,
    vector: Field,
}

fn schema() -> (Schema, Fields) {
    use tantivy::schema::{FAST, INDEXED, STORED};
    let mut builder = Schema::builder();
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(TOKENIZER)
        .set_index_option(IndexRecordOption::WithFreqsAndPositions);
    let fields = Fields {
        file: builder.add_u64_field("file", INDEXED | FAST),
        ord: builder.add_u64_field("ord", FAST),
        place: builder.add_u64_field("place", FAST),
        body: builder.add_text_field("body", TextOptions::default().set_indexing_options(indexing)),
        record: builder.add_bytes_field("record", STORED),
        vector: builder.add_custom_field("vector", plugin::FIELD_TYPE, serde_json::Value::Null),
    };
    (builder.build(), fields)
}

/// Records are packed together up to this size; a hit unpacks a whole block for its own.
const RECORDS_BLOCK_BYTES: usize = 4096;

/// Opens the index in a folder, or makes an empty one there.
fn open_or_create(folder: &Path, dim: usize) -> Result<(Index, Fields), IndexError> {
    let directory = MmapDirectory::open(folder).map_err(tantivy::TantivyError::from)?;
    let (schema, fields) = schema();
    let index = if Index::exists(&directory).map_err(tantivy::TantivyError::from)? {
        let mut index = Index::open(directory)?;
        // Vectors that are there keep their length, also while no model is at hand.
        let dim = writer::read_position(&index)?.fingerprint.dim.max(dim);
        index.register_plugin(Arc::new(plugin::VectorPlugin::new(dim)));
        index
    } else {
        let settings = IndexSettings { docstore_blocksize: RECORDS_BLOCK_BYTES, ..IndexSettings::default() };
        Index::builder()
            .schema(schema)
            .settings(settings)
            .register_plugin(Arc::new(plugin::VectorPlugin::new(dim)))
            .open_or_create(directory)?
    };
    index.tokenizers().register(TOKENIZER, TermTokenizer);
    Ok((index, fields))
}

/// Hands our terms to tantivy.
#[derive(Clone)]
struct TermTokenizer;

struct TermStream {
    terms: std::vec::IntoIter<super::Term>,
    token: Token,
}

impl Tokenizer for TermTokenizer {
    type TokenStream<'a> = TermStream;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> TermStream {
        TermStream { terms: super::terms(text).into_iter(), token: Token::default() }
    }
}

impl TokenStream for TermStream {
    fn advance(&mut self) -> bool {
        let Some(term) = self.terms.next() else { return false };
        self.token = Token {
            offset_from: term.start,
            offset_to: term.end,
            position: term.position,
            text: term.text,
            position_length: 1,
        };
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

//! Takes ranked candidates, gives hits in which the same text stands once.
//!
//! Two chunks are copies when their words are the same in the same order, whatever the white space and case.

use std::collections::HashMap;

use super::arms::{Answers, Candidate, Source};
use super::{Hit, Ranks, SearchError};

/// Reads the best candidates' records until `limit` different texts are found.
pub fn hits(
    sources: &[Source],
    answers: &Answers,
    ranked: Vec<(Candidate, f32)>,
    limit: usize,
) -> Result<Vec<Hit>, SearchError> {
    let semantic_weight = super::fusion::semantic_weight(answers);
    let mut hits: Vec<Hit> = Vec::new();
    let mut seen: HashMap<[u8; 32], usize> = HashMap::new();
    for (candidate, score) in ranked {
        let record = sources[candidate.source].searcher.record(candidate.chunk)?;
        let words = words_hash(&record.text);
        match seen.get(&words) {
            Some(first) => {
                let hit = &mut hits[*first];
                let copy = (candidate.source, record.path);
                let is_same_file = hit.source == copy.0 && hit.record.path == copy.1;
                if !is_same_file && !hit.copies.contains(&copy) {
                    hit.copies.push(copy);
                }
            }
            None if hits.len() >= limit => break,
            None => {
                seen.insert(words, hits.len());
                hits.push(Hit {
                    source: candidate.source,
                    chunk: candidate.chunk,
                    record,
                    score,
                    ranks: Ranks {
                        lexical: candidate.lexical_rank,
                        semantic: candidate.semantic_rank,
                        bm25: candidate.bm25,
                        cosine: candidate.cosine,
                        semantic_weight,
                    },
                    copies: Vec::new(),
                });
            }
        }
    }
    Ok(hits)
}

fn words_hash(text: &str) -> [u8; 32] {
    let mut words = String::with_capacity(text.len() + 16);
    for word in text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()) {
        let start = words.len();
        if word.is_ascii() {
            words.push_str(word);
            words[start..].make_ascii_lowercase();
        } else {
            words.extend(word.chars().flat_map(char::to_lowercase));
        }
        words.push('\0');
    }
    *blake3::hash(words.as_bytes()).as_bytes()
}

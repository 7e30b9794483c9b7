//! What entries say of themselves, without examples: the cosine to a description, and the likeness to its words.

use std::sync::Arc;

use super::Role;
use super::book::{Embedded, Intent};
use super::lexicon::{Grain, Lexicon};
use crate::index::{VectorTable, dot_f32};

/// How much a name counts beside its description.
const NAME_SHARE: f32 = 0.5;
/// Entries whose descriptions are cut into pieces of words; of more, words alone count.
const MAX_IN_PIECES: usize = 5000;
/// Of many entries, how many each arm brings.
const NEAREST: usize = 200;

/// Every entry's description, ready to be compared.
pub(super) struct Described {
    lexicon: Lexicon,
    /// Entries by feature, with the weight that it has there.
    postings: Vec<Vec<(u32, f32)>>,
    /// Of each entry: name and description in one, then each capability; L2-normalised.
    vectors: Vec<Vec<Vec<f32>>>,
    /// All vectors, and the entry of each, where not every entry is scored.
    table: Option<(VectorTable, Vec<u32>)>,
}

impl Described {
    /// Of these entries; with `many`, only the nearest of them are candidates.
    pub(super) fn of(entries: &[Arc<Embedded>], dim: usize, many: bool) -> Self {
        let grain = if entries.len() <= MAX_IN_PIECES { Grain::Pieces } else { Grain::Words };
        let texts: Vec<Vec<String>> = entries.iter().map(|entry| told_words(entry)).collect();
        let lexicon = Lexicon::of(texts.iter().map(Vec::as_slice), grain, 1);
        let mut postings = vec![Vec::new(); lexicon.len()];
        for (entry, words) in (0..).zip(&texts) {
            for (feature, weight) in lexicon.vector(words) {
                postings[feature as usize].push((entry, weight));
            }
        }
        let vectors: Vec<Vec<Vec<f32>>> = entries.iter().map(|entry| vectors_of(entry)).collect();
        let table = many.then(|| {
            let rows =
                || (0..).zip(&vectors).flat_map(|(entry, own)| own.iter().map(move |vector| (entry, vector)));
            let table = VectorTable::new(dim, rows().map(|(_, vector)| vector.as_slice()));
            (table, rows().map(|(entry, _)| entry).collect())
        });
        Self { lexicon, postings, vectors, table }
    }

    /// The likeness of words, `[0, 1]`, for each entry.
    pub(super) fn likenesses(&self, intent: &Intent) -> Vec<f32> {
        let mut likenesses = vec![0.0; self.vectors.len()];
        for (feature, own) in self.lexicon.vector(&intent.words) {
            for (entry, weight) in &self.postings[feature as usize] {
                likenesses[*entry as usize] += own * weight;
            }
        }
        likenesses
    }

    /// The largest cosine to what an entry says of itself, `[-1, 1]`; 0 without vectors.
    pub(super) fn cosine(&self, entry: usize, vector: &[f32]) -> f32 {
        let cosines = self.vectors[entry].iter().map(|own| dot_f32(own, vector));
        cosines.fold(f32::NEG_INFINITY, f32::max).max(if self.vectors[entry].is_empty() { 0.0 } else { -1.0 })
    }

    /// The entries that come into question, ascending: all of few, the nearest of many.
    pub(super) fn candidates(&self, intent: &Intent, likenesses: &[f32]) -> Vec<usize> {
        let Some((table, owners)) = &self.table else { return (0..self.vectors.len()).collect() };
        let mut found: Vec<usize> = match &intent.features {
            Some(features) => {
                let rows = table.nearest(&features.embedding, NEAREST);
                rows.into_iter().map(|(row, _)| owners[row as usize] as usize).collect()
            }
            None => Vec::new(),
        };
        let mut alike: Vec<usize> = (0..likenesses.len()).filter(|entry| likenesses[*entry] > 0.0).collect();
        if alike.len() > NEAREST {
            let order = |a: &usize, b: &usize| likenesses[*b].total_cmp(&likenesses[*a]).then(a.cmp(b));
            alike.select_nth_unstable_by(NEAREST, order);
            alike.truncate(NEAREST);
        }
        found.extend(alike);
        found.sort_unstable();
        found.dedup();
        found
    }

    /// How near two entries' descriptions are to each other; `None` without vectors.
    pub(super) fn between(&self, a: usize, b: usize) -> Option<f32> {
        Some(dot_f32(self.vectors[a].first()?, self.vectors[b].first()?))
    }
}

/// The words of name, description and capabilities.
fn told_words(entry: &Embedded) -> Vec<String> {
    let told = entry
        .documents
        .iter()
        .filter(|document| matches!(document.role, Role::Description | Role::Capability));
    told.flat_map(|document| &document.words).cloned().collect()
}

fn vectors_of(entry: &Embedded) -> Vec<Vec<f32>> {
    let of = |role| {
        let documents = entry.documents.iter().filter(move |document| document.role == role);
        documents.filter_map(|document| Some(&document.features.as_ref()?.embedding))
    };
    let purpose = of(Role::Purpose).next().or(of(Role::Description).next());
    let Some((purpose, name)) = purpose.zip(of(Role::Name).next()) else { return Vec::new() };
    let mixed = purpose.iter().zip(name).map(|(purpose, name)| purpose + NAME_SHARE * name).collect();
    std::iter::once(unit(mixed)).chain(of(Role::Capability).cloned()).collect()
}

/// At length 1; zeros stay zeros.
pub(super) fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let norm = dot_f32(&vector, &vector).sqrt();
    if norm > 0.0 {
        vector.iter_mut().for_each(|x| *x /= norm);
    }
    vector
}

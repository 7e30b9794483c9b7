//! Made-up words and files of them, and an embedder that costs next to nothing, as benches need them.

use std::path::Path;

use waypost_engine::embed::{EmbedError, Embedder, Manifest, ModelId};

const DIM: usize = 384;
const SECTIONS: usize = 4;
const WORDS: usize = 90;
const N_WORDS: usize = 30_000;

/// The same numbers on every machine (PCG-like multiplier, seed fixed).
pub struct Numbers(pub u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Rank r with weight about 1/r (Zipf).
    fn word(&mut self) -> String {
        format!("w{}", (N_WORDS as f64).powf(self.next()) as usize)
    }

    /// So many words.
    pub fn words(&mut self, count: usize) -> String {
        (0..count).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }
}

/// Files of four sections, in fifty folders; gives how many chunks they make.
pub fn write_files(docs: &Path, n_files: usize, numbers: &mut Numbers) -> usize {
    for file in 0..n_files {
        let folder = docs.join(format!("d{}", file % 50));
        std::fs::create_dir_all(&folder).expect("a folder");
        let sections: Vec<String> =
            (0..SECTIONS).map(|n| format!("# Part {n}\n\n{}\n", numbers.words(WORDS))).collect();
        std::fs::write(folder.join(format!("f{file}.md")), sections.join("\n")).expect("a file");
    }
    n_files * SECTIONS
}

/// The sum of a vector for each word, so that a query's own embedding costs next to nothing, as with a warm cache.
pub struct OfWords(ModelId);

impl OfWords {
    /// Under the default model's name.
    pub fn new() -> Self {
        let no_hash = "0".repeat(64);
        Self(ModelId::new(Manifest::built_in().default_model(), &no_hash, &no_hash).expect("an id"))
    }

    fn vector(text: &str) -> Vec<f32> {
        let mut sum = vec![0f32; DIM];
        for word in text.split_whitespace() {
            let seed = word.bytes().fold(7u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
            let mut numbers = Numbers(seed);
            sum.iter_mut().for_each(|value| *value += numbers.next() as f32 - 0.5);
        }
        let norm = sum.iter().map(|value| value * value).sum::<f32>().sqrt().max(1e-9);
        sum.iter_mut().for_each(|value| *value /= norm);
        sum
    }
}

impl Embedder for OfWords {
    fn id(&self) -> &ModelId {
        &self.0
    }
    fn dim(&self) -> usize {
        DIM
    }
    fn max_tokens(&self) -> usize {
        256
    }
    fn embed_documents(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        Ok(texts.iter().map(|text| Self::vector(text)).collect())
    }
    fn embed_query(&self, text: &str) -> Result<Vec<f32>, EmbedError> {
        Ok(Self::vector(text))
    }
    fn count_tokens(&self, text: &str) -> usize {
        text.split_whitespace().count() * 2 + 2
    }
}

//! How well duplicates and contradictions are told, over pairs by hand and with the default model where it is at hand.

use std::sync::Arc;

use waypost_engine::claims::Claim;
use waypost_engine::embed::{Bert, Embedder, Manifest, Sources, resolve};
use waypost_engine::memory::{Likeness, Part, compare, sentences_of};

use super::pairs::{CONTRADICTIONS, DUPLICATES, UNRELATED};

/// What a pair is, what it is taken for, and how often.
#[derive(Default, Debug, Clone, Copy)]
struct Told {
    right: usize,
    missed: usize,
    wrong: usize,
}

impl Told {
    fn precision(self) -> f64 {
        self.right as f64 / (self.right + self.wrong).max(1) as f64
    }

    fn recall(self) -> f64 {
        self.right as f64 / (self.right + self.missed).max(1) as f64
    }
}

fn parts(text: &str, embedder: Option<&Arc<dyn Embedder>>) -> Vec<Part> {
    let part = |span: waypost_engine::span::Span| {
        let sentence = span.of(text).unwrap();
        let vector = embedder.map(|embedder| embedder.embed_documents(&[sentence]).unwrap().remove(0));
        Part { span, claim: Claim::of(sentence), vector }
    };
    sentences_of(text).into_iter().map(part).collect()
}

fn told(one: &str, other: &str, embedder: Option<&Arc<dyn Embedder>>) -> Option<Likeness> {
    compare(&parts(one, embedder), &parts(other, embedder)).map(|alike| alike.likeness)
}

/// Duplicates and contradictions of one half of the pairs.
fn measure(half: usize, embedder: Option<&Arc<dyn Embedder>>) -> (Told, Told) {
    let (mut duplicates, mut contradictions) = (Told::default(), Told::default());
    let lists = [
        (DUPLICATES, Some(Likeness::Duplicate)),
        (CONTRADICTIONS, Some(Likeness::Contradiction)),
        (UNRELATED, None),
    ];
    for (pairs, wanted) in lists {
        for (one, other) in pairs.iter().skip(half).step_by(2) {
            let found = told(one, other, embedder).filter(|likeness| *likeness != Likeness::Related);
            if found != wanted {
                println!("  {wanted:?} taken for {found:?}: {one} | {other}");
            }
            for (told, likeness) in
                [(&mut duplicates, Likeness::Duplicate), (&mut contradictions, Likeness::Contradiction)]
            {
                let (is, seems) = (wanted == Some(likeness), found == Some(likeness));
                told.right += usize::from(is && seems);
                told.missed += usize::from(is && !seems);
                told.wrong += usize::from(!is && seems);
            }
        }
    }
    (duplicates, contradictions)
}

fn shown(name: &str, told: Told) {
    println!("{name}: precision {:.2}, recall {:.2}", told.precision(), told.recall());
}

/// The default model, from where models are kept.
fn model() -> Option<Arc<dyn Embedder>> {
    let sources = Sources::new(std::env::var_os("WAYPOST_MODELS")?);
    let resolved = resolve(Manifest::built_in().default_model(), &sources, &mut |_| ()).ok()?;
    Some(Arc::new(Bert::open(&resolved).ok()?))
}

#[test]
fn duplicates_and_contradictions_are_told_by_words_alone() {
    for (half, name) in ["looked at", "held out"].iter().enumerate() {
        println!("{name}, without a model:");
        let (duplicates, contradictions) = measure(half, None);
        shown("  duplicates", duplicates);
        shown("  contradictions", contradictions);
        // Without a model little is called a duplicate, and what is, is one. Words that change places are none, for they may be who
        // did it and to whom.
        assert!(duplicates.precision() >= 0.95 && duplicates.recall() >= 0.3, "{duplicates:?}");
        assert!(contradictions.precision() >= 0.9 && contradictions.recall() >= 0.8, "{contradictions:?}");
    }
}

#[test]
fn only_what_is_said_word_for_word_need_not_be_written() {
    let is_said = |new: &str, old: &str| {
        compare(&parts(new, None), &parts(old, None)).is_some_and(|alike| alike.is_said)
    };
    for (new, old) in [
        ("Invoices are kept for ten years.", "The invoices are kept for 10 years."),
        ("Anna leads sales. Paul sells.", "anna leads sales. Paul sells."),
    ] {
        assert!(is_said(new, old), "{new} | {old}");
    }
    let [sells, buys] =
        ["sells", "buys"].map(|does| format!("{}Paul {does}.", "Anna leads sales. ".repeat(9)));
    for (new, old) in [
        ("Invoices are kept for ten years.", "We keep invoices for ten years."),
        ("Anna leads sales.", "Anna leads sales. That is no longer so."),
        ("Paul sells. Anna leads sales.", "Anna leads sales. Paul sells."),
        // Of a long note not all sentences are looked at.
        (sells.as_str(), buys.as_str()),
    ] {
        assert!(!is_said(new, old), "{new} | {old}");
    }
}

#[test]
fn duplicates_and_contradictions_are_told_with_the_default_model() {
    let Some(model) = model() else {
        println!("skipped: the default model is not in `WAYPOST_MODELS`");
        return;
    };
    for (half, name) in ["looked at", "held out"].iter().enumerate() {
        println!("{name}, with {}:", model.id());
        let (duplicates, contradictions) = measure(half, Some(&model));
        shown("  duplicates", duplicates);
        shown("  contradictions", contradictions);
        assert!(duplicates.precision() >= 0.95 && duplicates.recall() >= 0.55, "{duplicates:?}");
        assert!(contradictions.precision() >= 0.9 && contradictions.recall() >= 0.9, "{contradictions:?}");
    }
}

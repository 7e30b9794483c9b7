//! A home as a question finds it: with the model that is at hand, and up to what other programs have written since.

use std::sync::Arc;

use anyhow::{Result, ensure};
use serde_json::Value;
use waypost_engine::api::Engine;
use waypost_engine::ingest::Stage;
use waypost_engine::search::Mode;

use super::place::Place;
use super::search::PlaceArgs;
use super::{Globals, home};
use crate::config;
use crate::models::{self, NoModel};
use crate::output::{self, Bar};

/// Opens the home for a question about a place, and takes in the words of what has changed there.
///
/// # Errors
/// Where there is no home, or nothing but a model could answer and there is none.
pub fn open(globals: &Globals, place: &PlaceArgs) -> Result<Arc<Engine>> {
    let home = home::existing(globals)?;
    let config = config::load(&home, globals)?;
    models::check(&config)?;
    let model = match place.mode() {
        Mode::Semantic => Some(models::open(&config, false).map_err(NoModel)?),
        _ => home::model(&config, home::Fetch::Never)?,
    };
    let engine = home::open_with(&home, &config, model)?;
    home::take_in(&engine)?;
    take_in_words(&engine, place);
    Ok(engine)
}

/// What was typed, as one text.
///
/// # Errors
/// Where nothing was.
pub fn typed(words: &[String], what: &str) -> Result<String> {
    let text = words.join(" ");
    ensure!(!text.trim().is_empty(), "`{what}` is without a word: expected what to look for");
    Ok(text)
}

/// Says how many files lack what only `waypost index` makes; a server makes it by itself.
pub fn tell_pending(place: &Place, reply: &Value) {
    let pending_files = reply["index"]["pending_files"].as_u64().unwrap_or_default();
    if pending_files > 0 && matches!(place, Place::Home(_)) {
        let what = if pending_files == 1 { "1 file waits" } else { &format!("{pending_files} files wait") };
        output::note(&format!("{what} for `waypost index`"));
    }
}

/// Vectors are made by `waypost index`, which is a matter of minutes; words are there at once.
fn take_in_words(engine: &Engine, place: &PlaceArgs) {
    let mut bar = Bar::new();
    for name in engine.workspace_names().iter().filter(|name| place.may_be_in(name)) {
        let taken = engine.index_words(name, &mut |progress| {
            if progress.stage == Stage::Reading {
                bar.show(progress);
            }
        });
        if let Err(error) = taken {
            let why = output::causes(&error.into());
            output::note(&format!("what has changed in `{name}` is not looked at: {why}"));
        }
    }
    bar.finish();
}

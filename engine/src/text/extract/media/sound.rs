//! The tags of recordings and films: ID3, Vorbis comments, APE, MP4, and the texts of WAV.
//!
//! Takes a file's bytes and type, tells the texts in it. Of types that have no such tags, nothing.

use std::io::Cursor;

use lofty::config::{ParseOptions, ParsingMode};
use lofty::error::FileParseError;
use lofty::file::{FileType, TaggedFile};
use lofty::prelude::TaggedFileExt;
use lofty::probe::Probe;
use lofty::tag::{ItemKey, Tag};

use super::Said;

/// What is told of a tag.
const ITEMS: &[(ItemKey, &str)] = &[
    (ItemKey::TrackTitle, "Title"),
    (ItemKey::TrackSubtitle, "Subtitle"),
    (ItemKey::TrackArtist, "Artist"),
    (ItemKey::AlbumTitle, "Album"),
    (ItemKey::AlbumArtist, "Album artist"),
    (ItemKey::Composer, "Composer"),
    (ItemKey::Performer, "Performer"),
    (ItemKey::Genre, "Genre"),
    (ItemKey::RecordingDate, "Date"),
    (ItemKey::Year, "Date"),
    (ItemKey::Description, "Description"),
    (ItemKey::PodcastDescription, "Description"),
    (ItemKey::PodcastKeywords, "Keywords"),
    (ItemKey::Comment, "Comment"),
    (ItemKey::Lyrics, "Lyrics"),
    (ItemKey::UnsyncLyrics, "Lyrics"),
    (ItemKey::CopyrightMessage, "Copyright"),
];

/// Tells what the tags say.
pub(super) fn read(bytes: &[u8], mime_type: &str, said: &mut Said) {
    let file = match tagged(bytes, mime_type) {
        Ok(Some(file)) => file,
        Ok(None) => return,
        Err(error) => return said.fail(&error),
    };
    // The oldest tags cut what they say, so the others are asked first.
    let tags = file.primary_tag().into_iter().chain(file.tags());
    for (key, label) in ITEMS {
        let said_there = tags.clone().map(|tag| texts(tag, *key)).find(|text| !text.is_empty());
        said.add(label, &said_there.unwrap_or_default());
    }
}

/// The texts of a tag under a key, but for the numbers that players keep there in the form of a remark.
fn texts(tag: &Tag, key: ItemKey) -> String {
    let items = tag.items().filter(|item| item.key() == key && !item.description().starts_with("iTun"));
    items.filter_map(|item| item.value().text()).collect::<Vec<_>>().join(", ")
}

fn tagged(bytes: &[u8], mime_type: &str) -> Result<Option<TaggedFile>, FileParseError> {
    let mut options = ParseOptions::new();
    options.read_properties(false).read_cover_art(false).parsing_mode(ParsingMode::Relaxed);
    let reader = Cursor::new(bytes);
    let probe = if mime_type == "audio/mpeg" {
        // Tags stand before sound of other formats too, and before none.
        let probe = Probe::new(reader).guess_file_type()?;
        let file_type = probe.file_type().unwrap_or(FileType::Mpeg);
        probe.set_file_type(file_type)
    } else {
        let Some(file_type) = FileType::from_buffer(bytes) else { return Ok(None) };
        Probe::with_file_type(reader, file_type)
    };
    probe.options(options).read().map(Some)
}

//! Where a model comes from, what is refused, and what the error says.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::tiny::{self, Variant};
use crate::embed::cache::{Origin, Staging};
use crate::embed::model_id::hex;
use crate::embed::{EmbedError, FetchError, ModelSpec, Progress, Resolved, Source, Sources, resolve};

/// A cache with the tiny model in it, published as a download is.
struct Cache {
    folder: TempDir,
    spec: ModelSpec,
}

impl Cache {
    fn empty() -> Self {
        Self { folder: TempDir::new().unwrap(), spec: tiny::spec(Variant::PLAIN) }
    }

    fn published() -> Self {
        let cache = Self::empty();
        let staging = Staging::new(cache.folder.path(), "tiny").unwrap();
        tiny::write(staging.path(), Variant::PLAIN);
        staging.publish(&cache.spec, origin(), &mut |_| ()).unwrap();
        cache
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join("tiny").join(file)
    }

    fn resolve(&self) -> Result<Resolved, EmbedError> {
        resolve(&self.spec, &Sources::new(self.folder.path()), &mut |_| ())
    }

    /// Files that were hashed while the model was opened.
    fn hashed(&self) -> Vec<String> {
        let mut hashed = Vec::new();
        resolve(&self.spec, &Sources::new(self.folder.path()), &mut |step| {
            if let Progress::Checking { file } = step {
                hashed.push(file);
            }
        })
        .unwrap();
        hashed
    }
}

fn origin() -> Origin {
    Origin { source: "a test".to_owned(), revision: "1".to_owned() }
}

fn sha256(path: &Path) -> String {
    hex(&Sha256::digest(fs::read(path).unwrap()))
}

#[test]
fn a_published_model_is_served_from_the_cache_without_hashing() {
    let cache = Cache::published();
    let resolved = cache.resolve().unwrap();
    assert_eq!(resolved.source, Source::Cache);
    assert_eq!(resolved.id.weights_sha256(), sha256(&cache.path("model.safetensors")));
    assert!(cache.hashed().is_empty());
    assert_eq!(fs::read_dir(cache.folder.path()).unwrap().count(), 1, "nothing is left beside the model");
}

#[test]
fn a_touched_file_is_hashed_once_more() {
    let cache = Cache::published();
    let path = cache.path("config.json");
    fs::write(&path, fs::read(&path).unwrap()).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(cache.hashed(), ["config.json"]);
    assert!(cache.hashed().is_empty());
}

#[test]
fn a_damaged_file_is_named() {
    let check = |damage: &dyn Fn(&Path), expected: &str| {
        let cache = Cache::published();
        let path = cache.path("model.safetensors");
        damage(&path);
        let message = cache.resolve().unwrap_err().to_string();
        assert!(message.contains("model.safetensors") && message.contains(expected), "{message}");
    };
    check(&|path| fs::write(path, b"short").unwrap(), "found 5 bytes");
    check(&|path| fs::remove_file(path).unwrap(), "is missing");
    check(
        &|path| {
            let mut bytes = fs::read(path).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            fs::write(path, bytes).unwrap();
            fs::File::options().write(true).open(path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        },
        "is damaged",
    );
}

#[test]
fn other_bytes_than_the_manifest_names_are_never_published() {
    let mut cache = Cache::empty();
    cache.spec.files[2].sha256 = Some("0".repeat(64));
    let staging = Staging::new(cache.folder.path(), "tiny").unwrap();
    tiny::write(staging.path(), Variant::PLAIN);
    let error = staging.publish(&cache.spec, origin(), &mut |_| ()).expect_err("the hash is wrong");
    assert!(matches!(&error, FetchError::WrongBytes { file, .. } if file == "model.safetensors"), "{error}");
    drop(staging);
    assert_eq!(fs::read_dir(cache.folder.path()).unwrap().count(), 0);
}

#[test]
fn half_a_download_never_counts() {
    let cache = Cache::empty();
    let staging = Staging::new(cache.folder.path(), "tiny").unwrap();
    tiny::write(staging.path(), Variant::PLAIN);
    fs::remove_file(staging.path().join("tokenizer.json")).unwrap();
    assert!(matches!(staging.publish(&cache.spec, origin(), &mut |_| ()), Err(FetchError::Io { .. })));
    // As a crash would: the folder of the download stays behind.
    std::mem::forget(staging);
    assert!(matches!(cache.resolve(), Err(EmbedError::Unavailable { .. })));
}

#[test]
fn a_refused_pull_leaves_the_old_model() {
    let cache = Cache::published();
    let mut spec = cache.spec.clone();
    spec.files[0].size_bytes = Some(1);
    let staging = Staging::new(cache.folder.path(), "tiny").unwrap();
    tiny::write(staging.path(), Variant::PLAIN);
    assert!(staging.publish(&spec, origin(), &mut |_| ()).is_err());
    assert!(cache.resolve().is_ok());
}

#[test]
fn a_pull_replaces_the_old_model() {
    let cache = Cache::published();
    let other = Variant { prefix: "bert.", ..Variant::PLAIN };
    let staging = Staging::new(cache.folder.path(), "tiny").unwrap();
    tiny::write(staging.path(), other);
    staging.publish(&cache.spec, origin(), &mut |_| ()).unwrap();
    drop(staging);
    assert!(cache.resolve().is_ok());
    assert_eq!(fs::read_dir(cache.folder.path()).unwrap().count(), 1);
}

#[test]
fn a_folder_by_hand_is_held_to_the_manifest() {
    let folder = TempDir::new().unwrap();
    tiny::write(folder.path(), Variant::PLAIN);
    let mut spec = tiny::spec(Variant::PLAIN);
    let sources = Sources::new("unused").folder(folder.path());
    assert_eq!(resolve(&spec, &sources, &mut |_| ()).unwrap().source, Source::Folder);
    spec.files[1].sha256 = Some("0".repeat(64));
    let message = resolve(&spec, &sources, &mut |_| ()).unwrap_err().to_string();
    assert!(message.contains("tokenizer.json") && message.contains(&"0".repeat(64)), "{message}");
}

#[test]
fn without_a_source_the_error_says_what_was_tried_and_what_to_do() {
    let cache = Cache::empty();
    let message = cache.resolve().unwrap_err().to_string();
    for expected in
        ["`tiny`", "hub nobody/tiny@main: not tried, since fetching was not allowed", "next: ", "model_dir"]
    {
        assert!(message.contains(expected), "`{message}` lacks `{expected}`");
    }
}

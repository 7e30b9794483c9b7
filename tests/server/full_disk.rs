//! Attack 37: the disk is full, then has room again. The disk is a small one in memory, which takes the rights to mount it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::outage::Process;
use crate::support::bare_command;
use crate::users::eventually;

const MIB: usize = 1 << 20;
const DISK_MIB: usize = 24;

/// A file system of [`DISK_MIB`] MiB, until it goes.
struct Disk(tempfile::TempDir);

impl Disk {
    /// `None`, and a word about it, where this process may not mount.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={DISK_MIB}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).stderr(Stdio::null());
        let mounted = mount.status().is_ok_and(|status| status.success());
        if !mounted {
            println!("skipped: no rights to mount a small disk");
        }
        mounted.then_some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all room that is left.
    fn fill(&self) {
        let mut ballast = std::fs::File::create(self.path().join("ballast")).unwrap();
        let mut piece = vec![b'x'; MIB];
        while !piece.is_empty() {
            if ballast.write_all(&piece).is_err() {
                piece.truncate(piece.len() / 2);
            }
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.path().join("ballast")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.path()).status());
    }
}

struct Asker<'a> {
    server: &'a Process,
    agent: ureq::Agent,
}

impl<'a> Asker<'a> {
    fn new(server: &'a Process) -> Self {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        Self { server, agent }
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.server.token.as_ref().unwrap())
    }

    fn put(&self, path: &str, bytes: &[u8]) -> (u16, Value) {
        let asked = self.agent.put(format!("{}/v1/files{path}", self.server.url));
        let mut reply = asked.header("authorization", self.bearer()).send(bytes).unwrap();
        (reply.status().as_u16(), reply.body_mut().read_json().unwrap_or_default())
    }

    fn get(&self, path: &str) -> (u16, Vec<u8>) {
        let asked = self.agent.get(format!("{}/v1/files{path}", self.server.url));
        let mut reply = asked.header("authorization", self.bearer()).call().unwrap();
        (reply.status().as_u16(), reply.body_mut().read_to_vec().unwrap())
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let asked = self.agent.post(format!("{}{path}", self.server.url));
        let mut reply = asked.header("authorization", self.bearer()).send_json(body).unwrap();
        (reply.status().as_u16(), reply.body_mut().read_json().unwrap_or_default())
    }

    fn finds_the_heron(&self) -> bool {
        let (status, found) = self.post("/v1/search", &json!({"query": "heron"}));
        status == 200 && found["results"].as_array().is_some_and(|hits| !hits.is_empty())
    }
}

#[test]
fn row_37_a_full_disk_refuses_writes_clearly_keeps_reads_and_needs_no_restart() {
    let Some(disk) = Disk::mount() else { return };
    let home = disk.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let mut server = Process::start_with(&home, "127.0.0.1:0", &[], Stdio::null());
    let asker = Asker::new(&server);
    assert_eq!(asker.post("/v1/workspaces", &json!({"name": "docs"})).0, 201);
    assert_eq!(asker.put("/docs/a.md", b"A heron stands in the reeds.").0, 201);
    eventually("the heron is found", || asker.finds_the_heron().then_some(()));

    disk.fill();
    let large = vec![b'y'; MIB];
    let (status, problem) = asker.put("/docs/large.txt", &large);
    assert_eq!((status, problem["code"].as_str()), (503, Some("disk_full")), "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|text| text.contains("No space left")), "{problem}");
    // What was there is read and found, by whoever asks, for as long as it takes.
    for _ in 0..20 {
        assert_eq!(asker.get("/docs/a.md"), (200, b"A heron stands in the reeds.".to_vec()));
        assert!(asker.finds_the_heron());
    }
    assert_eq!(asker.get("/docs/large.txt").0, 404, "what was refused is not there");

    disk.free();
    let taken = eventually("a write is taken again", || {
        let (status, answer) = asker.put("/docs/large.txt", &large);
        (status == 201).then_some(answer)
    });
    assert!(taken["version"].is_string(), "{taken}");
    assert_eq!(asker.get("/docs/large.txt").1, large);
    assert_eq!(asker.put("/docs/b.md", b"An egret joins it.").0, 201);
    eventually("what came afterwards is found", || {
        let (_, found) = asker.post("/v1/search", &json!({"query": "egret"}));
        (!found["results"].as_array()?.is_empty()).then_some(())
    });

    server.stop();
    let checked = bare_command()
        .args(["--offline", "check", "--home"])
        .arg(&home)
        .env("WAYPOST_MODELS", home.join("no-models"))
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
}

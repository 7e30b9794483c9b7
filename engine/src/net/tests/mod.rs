//! Judgement of URLs and addresses; exchanges over real sockets on loopback.

mod address;
mod exchange;
mod server;

use super::Reach;

fn reach(entries: &[&str]) -> Reach {
    let entries: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
    Reach::new(&entries).unwrap()
}

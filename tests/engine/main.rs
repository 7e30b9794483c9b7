//! The engine through its front door.

mod answers;
mod crash;
mod damage;
mod freshness;
mod house;
mod odd_files;
mod ranking;
mod scope;
mod watching;

//! A URL → bytes that a file can be made of, and where they came from.
//!
//! Takes URLs and what may be spent on them. Gives a [`Page`]: bytes that are what they say, with what is needed to ask
//! again only for what has changed. Nouns: [`Page`], [`Validators`] (what asks again), [`Crawl`] (which pages of a section
//! are next), [`Robots`] (what a site lets programs read), [`Pace`] (how often a host is asked).
//!
//! It decides no access and writes no file: that is the front door's, by the one way in which files change. Which
//! addresses may be reached is judged by `net`, on each hop anew.

mod crawl;
mod error;
mod fetch;
mod kinds;
mod naming;
mod pace;
mod robots;
mod share;
mod spool;

pub use crawl::{Crawl, CrawlLimits, Next};
pub use error::ImportError;
pub use fetch::{Fetched, Page, Validators, Wanted, Watch, fetch};
pub use kinds::Accept;
pub use naming::path_of;
pub use pace::Pace;
pub use robots::{Robots, robots_of};
pub use share::direct;

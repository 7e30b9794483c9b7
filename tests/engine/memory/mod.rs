//! Memory: notes kept and pointed out, threads that grow, recalled by rights, age and time.

/// Duplicates and contradictions over pairs by hand.
mod likeness;
mod notes;
mod pairs;
mod rights;
mod threads;

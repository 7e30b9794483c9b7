//! Turns damage in tantivy's files into an error. tantivy believes the bytes that it maps: where they are wrong it panics, and
//! where that happens in a thread of its own writer it takes the process along.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use tantivy::index::SegmentComponent;
use tantivy::{Index, TantivyError};

use crate::index::IndexError;

/// Holds the parts of each segment that every search and every delete reads against their checksums. Texts, places of words
/// and vectors are the bulk of an index, and not among them: vectors have a checksum of their own.
///
/// # Errors
/// [`IndexError::Damaged`] where a part does not hold, [`IndexError::Engine`] where one can't be read.
pub(super) fn verify(index: &Index) -> Result<(), IndexError> {
    use SegmentComponent::{Delete, FastFields, FieldNorms, Postings, Terms};
    let mut files = Vec::new();
    for segment in index.searchable_segment_metas()? {
        let deletes = segment.has_deletes().then_some(Delete);
        let parts = [Postings, Terms, FastFields, FieldNorms].into_iter().chain(deletes);
        files.extend(parts.map(|part| segment.relative_path(part)));
    }
    files.par_iter().try_for_each(|file| {
        if index.directory().validate_checksum(file).map_err(TantivyError::from)? {
            return Ok(());
        }
        let what = "does not fit its checksum".to_owned();
        Err(IndexError::Damaged { file: file.display().to_string(), what })
    })
}

/// Reads a part of the index; a panic over its bytes is damage.
///
/// # Errors
/// What `read` gives, or [`IndexError::Damaged`].
pub(super) fn guarded<T>(part: &str, read: impl FnOnce() -> Result<T, IndexError>) -> Result<T, IndexError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        let what = "can't be read; build the index anew with `waypost check --repair`".to_owned();
        Err(IndexError::Damaged { file: part.to_owned(), what })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_damage_with_a_way_out() {
        let read = |at: usize| guarded("postings", || Ok([1, 2, 3][at]));
        assert_eq!(read(1).unwrap(), 2);
        let error = read(3).unwrap_err().to_string();
        assert!(error.contains("`postings`") && error.contains("waypost check --repair"), "{error}");
    }
}

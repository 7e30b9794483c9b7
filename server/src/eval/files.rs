//! Which files of a set are asked for: by what they hold, and by the split in their names.
//!
//! `queries.test.jsonl`, `corpus.en.jsonl.gz`, the bare `corpus.jsonl` of a set in one piece, and `qrels/test.tsv`. A set
//! may name its parts differently: a corpus by its language, judgements by their split.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::output;

/// One kind of file of a set.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    name: &'static str,
    endings: [&'static str; 2],
    /// Whether a folder of this name may hold a file for each split.
    has_folder: bool,
    /// Whether the file of one split holds for the others; what is asked and judged does not.
    is_shared: bool,
}

const JSONL: [&str; 2] = ["jsonl", "jsonl.gz"];
const TSV: [&str; 2] = ["tsv", "tsv.gz"];

pub const CORPUS: Part = Part { name: "corpus", endings: JSONL, has_folder: false, is_shared: true };
pub const QUERIES: Part = Part { name: "queries", endings: JSONL, has_folder: false, is_shared: false };
pub const QRELS: Part = Part { name: "qrels", endings: TSV, has_folder: true, is_shared: false };
pub const QA: Part = Part { name: "qa", endings: JSONL, has_folder: false, is_shared: false };
pub const ROUTES: Part = Part { name: "routes", endings: JSONL, has_folder: false, is_shared: true };

/// What is taken where no split is asked for.
const USUAL: &str = "test";

/// The files of one split of a set.
#[derive(Debug)]
pub struct Files<'a> {
    folder: &'a Path,
    /// `None`: the set is in one piece.
    pub split: Option<String>,
}

impl<'a> Files<'a> {
    /// The split that is asked for; without one `test`, the bare files, or the only split there is.
    ///
    /// # Errors
    /// Where there is no such split, or several and none is asked for.
    pub fn choose(folder: &'a Path, parts: &[Part], asked: Option<&str>) -> Result<Self> {
        let splits: BTreeSet<String> = parts.iter().flat_map(|part| part.splits(folder)).collect();
        let is_bare = || parts.iter().all(|part| part.find(folder, None).is_some());
        let known = || splits.iter().map(|split| format!("`{split}`")).collect::<Vec<_>>().join(", ");
        let split = match asked {
            Some(asked) if splits.contains(asked) => Some(asked.to_owned()),
            // A set in one piece is what it is tested with.
            Some(USUAL) if splits.is_empty() => Some(USUAL.to_owned()),
            Some(asked) if splits.is_empty() => {
                bail!("`{}` has no split `{asked}`: it is in one piece", folder.display())
            }
            Some(asked) => bail!("`{}` has no split `{asked}`: it has {}", folder.display(), known()),
            None if splits.contains(USUAL) => Some(USUAL.to_owned()),
            None if splits.is_empty() || is_bare() => None,
            None if splits.len() == 1 => splits.first().cloned(),
            None => bail!("`{}` has several splits: name one by `--split`: {}", folder.display(), known()),
        };
        Ok(Self { folder, split })
    }

    /// The file of one kind: that of the split, or the bare one, which holds for all of them; of corpus and routes
    /// also the only one there is.
    ///
    /// # Errors
    /// Where there is none of them.
    pub fn find(&self, part: Part) -> Result<PathBuf> {
        let of_split = self.split.as_deref().and_then(|split| part.find(self.folder, Some(split)));
        if let Some(path) = of_split.or_else(|| part.find(self.folder, None)) {
            return Ok(path);
        }
        if let Some(path) = part.lone(self.folder) {
            let name = part.name;
            output::note(&format!(
                "`{}` is taken, the only file that the set has for `{name}`",
                path.display()
            ));
            return Ok(path);
        }
        let splits = self.split.as_deref().map(Some).into_iter().chain([None]);
        let tried: Vec<String> = splits.flat_map(|split| part.names(split)).collect();
        let folder = self.folder.display();
        bail!("`{folder}` has no file for `{}`: looked for {}", part.name, tried.join(", "))
    }
}

impl Part {
    fn names(self, split: Option<&str>) -> Vec<String> {
        let Some(split) = split else { return self.endings.map(|end| format!("{}.{end}", self.name)).into() };
        let mut names = self.endings.map(|end| format!("{}.{split}.{end}", self.name)).to_vec();
        if self.has_folder {
            names.extend(self.endings.map(|end| format!("{}/{split}.{end}", self.name)));
        }
        names
    }

    fn find(self, folder: &Path, split: Option<&str>) -> Option<PathBuf> {
        self.names(split).into_iter().map(|name| folder.join(name)).find(|path| path.is_file())
    }

    /// The file of the only split that there is for this part, where it holds for others.
    fn lone(self, folder: &Path) -> Option<PathBuf> {
        let splits = BTreeSet::from_iter(self.splits(folder));
        let split = splits.first().filter(|_| self.is_shared && splits.len() == 1)?;
        self.find(folder, Some(split))
    }

    /// What stands between name and ending of the files that are there.
    fn splits(self, folder: &Path) -> Vec<String> {
        let start = format!("{}.", self.name);
        let mut splits: Vec<String> = file_names(folder)
            .iter()
            .filter_map(|name| self.without_ending(name.strip_prefix(&start)?))
            .collect();
        if self.has_folder {
            let below = file_names(&folder.join(self.name));
            splits.extend(below.iter().filter_map(|name| self.without_ending(name)));
        }
        splits
    }

    fn without_ending(self, name: &str) -> Option<String> {
        let stem = self.endings.iter().find_map(|end| name.strip_suffix(end)?.strip_suffix('.'))?;
        (!stem.is_empty()).then(|| stem.to_owned())
    }
}

fn file_names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.path().is_file());
    files.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The split that is chosen of a retrieval set with these files, or the error.
    fn chosen(files: &[&str], asked: Option<&str>) -> Result<Option<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("qrels")).unwrap();
        files.iter().for_each(|name| std::fs::write(folder.path().join(name), "").unwrap());
        let files = Files::choose(folder.path(), &[CORPUS, QUERIES, QRELS], asked);
        files.map(|files| files.split).map_err(|error| error.to_string())
    }

    #[test]
    fn a_corpus_that_is_there_once_holds_for_every_split_and_its_questions_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str| std::fs::write(folder.path().join(name), "").unwrap();
        ["corpus.en.jsonl.gz", "queries.test.jsonl.gz", "qrels.test.tsv"].iter().for_each(|name| write(name));
        let found = |part: Part, asked: Option<&str>| {
            let files = Files::choose(folder.path(), &[CORPUS, QUERIES, QRELS], asked).unwrap();
            files.find(part).map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).ok()
        };
        assert_eq!(found(CORPUS, None).as_deref(), Some("corpus.en.jsonl.gz"));
        assert_eq!(found(QRELS, None).as_deref(), Some("qrels.test.tsv"));
        assert_eq!(found(CORPUS, Some("test")).as_deref(), Some("corpus.en.jsonl.gz"));
        assert_eq!(found(QUERIES, Some("en")), None, "those of `test` are not asked under another name");
        write("corpus.de.jsonl");
        assert_eq!(found(CORPUS, None), None, "of two nobody knows which is meant");
        assert_eq!(found(CORPUS, Some("de")).as_deref(), Some("corpus.de.jsonl"));
    }

    #[test]
    fn a_split_is_the_one_asked_for_or_the_one_that_goes_without_saying() {
        let bare = ["corpus.jsonl", "queries.jsonl", "qrels.tsv"];
        let test = ["corpus.jsonl.gz", "queries.test.jsonl", "queries.train.jsonl", "qrels.test.tsv"];
        let beir = ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv", "qrels/dev.tsv"];
        let lone = ["corpus.en.jsonl.gz", "queries.en.jsonl", "qrels.en.tsv"];
        let two = ["corpus.en.jsonl", "corpus.de.jsonl", "queries.jsonl", "qrels.tsv"];
        let some = |split: &str| Ok(Some(split.to_owned()));
        assert_eq!(chosen(&bare, None), Ok(None));
        assert_eq!(chosen(&test, None), some("test"));
        assert_eq!(chosen(&test, Some("train")), some("train"));
        assert_eq!(chosen(&beir, None), some("test"));
        assert_eq!(chosen(&beir, Some("dev")), some("dev"));
        assert_eq!(chosen(&lone, None), some("en"));
        assert!(chosen(&two, None).unwrap_err().contains("`de`, `en`"));
        assert!(chosen(&test, Some("nosuch")).unwrap_err().contains("it has `test`, `train`"));
        assert_eq!(chosen(&bare, Some("test")), some("test"));
        assert!(chosen(&bare, Some("dev")).unwrap_err().contains("in one piece"));
        assert!(chosen(&bare, Some("../x")).is_err());
    }
}

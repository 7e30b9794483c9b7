use thiserror::Error;

use super::tools::{Family, Tool};

/// Which families of tools are offered; where nothing is said all but those that say the same again or that few need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Toolsets {
    files: bool,
    files_reference: bool,
    history: bool,
    knowledge: bool,
    mesh: bool,
    threads: bool,
}

/// A family of tools that is not there.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error(
    "there is no toolset `{name}`: expected some of `files`, `files-reference`, `history`, `knowledge`, `mesh`, `threads`"
)]
pub struct UnknownToolset {
    /// As it was asked for.
    pub name: String,
}

impl Default for Toolsets {
    fn default() -> Self {
        Self { files: true, history: true, knowledge: true, mesh: true, ..Self::NOTHING }
    }
}

impl Toolsets {
    const NOTHING: Self = Self {
        files: false,
        files_reference: false,
        history: false,
        knowledge: false,
        mesh: false,
        threads: false,
    };

    /// Reads names such as `files`.
    ///
    /// # Errors
    /// [`UnknownToolset`], also for no name at all.
    pub fn read<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownToolset> {
        let mut toolsets = Self::NOTHING;
        for name in names {
            match name.trim() {
                "files" => toolsets.files = true,
                "files-reference" => toolsets.files_reference = true,
                "history" => toolsets.history = true,
                "knowledge" => toolsets.knowledge = true,
                "mesh" => toolsets.mesh = true,
                "threads" => toolsets.threads = true,
                name => return Err(UnknownToolset { name: name.chars().take(40).collect() }),
            }
        }
        if toolsets != Self::NOTHING { Ok(toolsets) } else { Err(UnknownToolset { name: String::new() }) }
    }

    /// Whether a tool may be called.
    pub fn hold(self, tool: Tool) -> bool {
        match tool.family() {
            Family::Files => self.files,
            Family::FilesReference => self.files || self.files_reference,
            Family::History => self.history,
            Family::Knowledge => self.knowledge,
            Family::Mesh => self.mesh,
            Family::Threads => self.threads,
            Family::Always => true,
        }
    }

    /// Whether a tool is listed: other names for what is listed already are so only where that is asked.
    pub fn list(self, tool: Tool) -> bool {
        if tool.family() == Family::FilesReference { self.files_reference } else { self.hold(tool) }
    }

    /// Whether pinned tools of other servers are offered.
    pub fn offer_pinned(self) -> bool {
        self.mesh
    }

    /// Their names.
    pub fn names(self) -> Vec<&'static str> {
        let all = [
            ("files", self.files),
            ("files-reference", self.files_reference),
            ("history", self.history),
            ("knowledge", self.knowledge),
            ("mesh", self.mesh),
            ("threads", self.threads),
        ];
        all.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect()
    }
}

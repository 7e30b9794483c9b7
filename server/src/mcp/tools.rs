//! The tools as a model sees them: names, descriptions, schemas. Every token here is paid for in each conversation.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool as Definition, ToolAnnotations};
use serde_json::{Value, json};

/// One callable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// A cited answer.
    Ask,
    /// What a folder holds.
    ListDirectory,
    /// A file's text.
    ReadFile,
    /// Ranked passages.
    Search,
    /// Paths by name.
    SearchFiles,
    /// Whether citations hold.
    VerifyCitations,
    /// Who the token stands for.
    Whoami,
}

/// What a tool belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Names and bytes.
    Files,
    /// Search, answers, citations.
    Knowledge,
    /// Offered whatever is chosen.
    Always,
}

impl Tool {
    /// All, by name.
    pub const ALL: [Self; 7] = [
        Self::Ask,
        Self::ListDirectory,
        Self::ReadFile,
        Self::Search,
        Self::SearchFiles,
        Self::VerifyCitations,
        Self::Whoami,
    ];

    /// The tool of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }

    /// Stable.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::ListDirectory => "list_directory",
            Self::ReadFile => "read_file",
            Self::Search => "search",
            Self::SearchFiles => "search_files",
            Self::VerifyCitations => "verify_citations",
            Self::Whoami => "whoami",
        }
    }

    /// See [`Family`].
    pub fn family(self) -> Family {
        match self {
            Self::ListDirectory | Self::ReadFile | Self::SearchFiles => Family::Files,
            Self::Ask | Self::Search | Self::VerifyCitations => Family::Knowledge,
            Self::Whoami => Family::Always,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Ask => "Ask the files",
            Self::ListDirectory => "List a folder",
            Self::ReadFile => "Read a file",
            Self::Search => "Search passages",
            Self::SearchFiles => "Find files by name",
            Self::VerifyCitations => "Verify citations",
            Self::Whoami => "Who am I",
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::Ask => {
                "Answer a question in sentences quoted from the files, each with a citation [n]. Use for one factual \
                 question; for several passages or your own reading use search. If the files do not answer it, \
                 `abstained` is true: say so, do not guess."
            }
            Self::ListDirectory => {
                "List a folder's names, folders first; `/` lists the workspaces. Use to get oriented; to find a file \
                 by name use search_files. Pass `next_cursor` as `cursor` for more."
            }
            Self::ReadFile => {
                "Read a text file's lines, from the start, from `start_line`, or the first/last N (`head`/`tail`: \
                 give one of the three). Use after search, with a hit's path and lines. If `next_line` comes back, \
                 read on from there."
            }
            Self::Search => {
                "Find the passages that best match words or meaning. Use for any question about what files say. Not \
                 for file names (search_files). Query syntax: \"exact phrase\", -not, ext:md, lang:rust. Hits come \
                 best first; read_file reads on around one."
            }
            Self::SearchFiles => {
                "Find file paths by glob (`**/*.md`) or part of the path. Not for what files say (search)."
            }
            Self::VerifyCitations => {
                "Check that quotes still stand in the files, byte for byte. Use before relying on citations from \
                 earlier. Each gets status valid, stale (`now`: its place today) or invalid."
            }
            Self::Whoami => "Tell who this token acts as and which workspaces it can read.",
        }
    }

    /// The arguments' schema, without `type` and `additionalProperties`.
    fn input(self) -> Value {
        let max_tokens = json!({"type": "integer", "description": "bound on the reply, default 2000"});
        let folder = json!({"type": "string", "description": "/workspace or /workspace/folder"});
        match self {
            Self::Ask => json!({
                "properties": {
                    "question": {"type": "string"},
                    "path_prefix": folder,
                    "max_tokens": max_tokens,
                },
                "required": ["question"],
            }),
            Self::ListDirectory => json!({
                "properties": {
                    "path": {"type": "string", "description": "default /"},
                    "limit": {"type": "integer"},
                    "cursor": {"type": "string"},
                    "max_tokens": max_tokens,
                },
            }),
            Self::ReadFile => json!({
                "properties": {
                    "path": {"type": "string"},
                    "start_line": {"type": "integer", "description": "from 1"},
                    "head": {"type": "integer"},
                    "tail": {"type": "integer"},
                    "version": {"type": "string", "description": "an older version"},
                    "max_tokens": max_tokens,
                },
                "required": ["path"],
            }),
            Self::Search => json!({
                "properties": {
                    "query": {"type": "string"},
                    "path_prefix": folder,
                    "mode": {"enum": ["hybrid", "lexical", "semantic"]},
                    "limit": {"type": "integer", "description": "1-1000, default 10"},
                    "wait_for_seq": {"type": "string"},
                    "max_tokens": max_tokens,
                },
                "required": ["query"],
            }),
            Self::SearchFiles => json!({
                "properties": {
                    "pattern": {"type": "string"},
                    "path": folder,
                    "limit": {"type": "integer"},
                    "max_tokens": max_tokens,
                },
                "required": ["pattern"],
            }),
            Self::VerifyCitations => json!({
                "properties": {
                    "citations": {
                        "type": "array",
                        "maxItems": crate::rest::MAX_CITATIONS,
                        "items": {
                            "type": "object",
                            "properties": {
                                "path": {"type": "string"},
                                "version": {"type": "string"},
                                "start_byte": {"type": "integer"},
                                "end_byte": {"type": "integer"},
                                "quote": {"type": "string"},
                            },
                            "required": ["path", "version", "start_byte", "end_byte", "quote"],
                        },
                    },
                },
                "required": ["citations"],
            }),
            Self::Whoami => json!({"properties": {}}),
        }
    }

    /// The names of what comes back; the list is short on purpose.
    fn output(self) -> Value {
        let (list, text, number) =
            (json!({"type": "array"}), json!({"type": "string"}), json!({"type": "integer"}));
        match self {
            Self::Ask => json!({
                "properties": {"answer": text, "abstained": {"type": "boolean"}, "confidence": {"type": "number"}, "citations": list},
                "required": ["answer", "abstained", "citations"],
            }),
            Self::ListDirectory => json!({
                "properties": {"entries": list, "next_cursor": text},
                "required": ["entries"],
            }),
            Self::ReadFile => json!({
                "properties": {"text": text, "lines": list, "total_lines": number, "next_line": number, "version": text},
                "required": ["text", "version"],
            }),
            Self::Search => json!({
                "properties": {"hits": list, "omitted": number, "index": {"type": "object"}},
                "required": ["hits"],
            }),
            Self::SearchFiles => json!({
                "properties": {"paths": list, "more": {"type": "boolean"}},
                "required": ["paths"],
            }),
            Self::VerifyCitations => json!({"properties": {"results": list}, "required": ["results"]}),
            Self::Whoami => {
                json!({"properties": {"principal": text, "workspaces": list}, "required": ["principal"]})
            }
        }
    }

    /// The names of the arguments.
    pub fn argument_names(self) -> Vec<String> {
        let input = self.input();
        input["properties"].as_object().map(|names| names.keys().cloned().collect()).unwrap_or_default()
    }

    /// As `tools/list` shows it.
    pub fn definition(self) -> Definition {
        let mut input = object(self.input());
        input.insert("additionalProperties".to_owned(), json!(false));
        let annotations = ToolAnnotations::with_title(self.title()).read_only(true).open_world(false);
        Definition::new(self.name(), self.description(), Arc::new(input))
            .with_raw_output_schema(Arc::new(object(self.output())))
            .with_annotations(annotations)
    }
}

fn object(schema: Value) -> JsonObject {
    let mut whole = JsonObject::new();
    whole.insert("type".to_owned(), json!("object"));
    if let Value::Object(schema) = schema {
        whole.extend(schema);
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Characters of the whole list, as JSON; the list must stay small beside a prompt.
    const MAX_LIST_CHARS: usize = 5400;

    #[test]
    fn the_list_is_sorted_small_and_well_named() {
        let names: Vec<&str> = Tool::ALL.iter().map(|tool| tool.name()).collect();
        assert!(names.is_sorted(), "{names:?}");
        let plain =
            |name: &&str| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        assert!(names.iter().all(plain));
        let list: Vec<Definition> = Tool::ALL.into_iter().map(Tool::definition).collect();
        let text = serde_json::to_string(&list).unwrap();
        assert!(text.len() < MAX_LIST_CHARS, "{} characters", text.len());
    }
}

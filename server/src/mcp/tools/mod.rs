//! The tools as a model sees them: names, descriptions, schemas. Every token here is paid for in each conversation.
//!
//! A file for each family declares its tools, each in one place; [`Tool`] names them all.

mod files;
mod history;
mod knowledge;
mod mesh;
mod reference;
mod schema;
mod tasks;
mod threads;

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool as Definition, ToolAnnotations};
use serde_json::{Value, json};
use waypost_engine::access::Verb;
use waypost_engine::api::Session;

/// One callable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// A cited answer.
    Ask,
    /// A tool of another server.
    CallTool,
    /// A task for oneself.
    ClaimTask,
    /// A task is done.
    CompleteTask,
    /// Bytes under a second path.
    CopyFile,
    /// A new folder.
    CreateDirectory,
    /// A name for a state.
    CreateSnapshot,
    /// Something to do.
    CreateTask,
    /// A file goes.
    DeleteFile,
    /// A folder with everything in it.
    DirectoryTree,
    /// An intent for another agent.
    Dispatch,
    /// Exact replacements.
    EditFile,
    /// A task goes back.
    FailTask,
    /// Who can do something.
    FindAgents,
    /// Tools of other servers.
    FindTools,
    /// What is known of a file.
    GetFileInfo,
    /// A task is kept.
    HeartbeatTask,
    /// What a folder holds.
    ListDirectory,
    /// What is to do.
    ListTasks,
    /// A file's history.
    ListVersions,
    /// Another path.
    MoveFile,
    /// Something for subscribers.
    PublishEvent,
    /// A file's text.
    ReadFile,
    /// Several files' texts.
    ReadMultipleFiles,
    /// What was kept.
    Recall,
    /// Something to keep.
    Remember,
    /// A person's decision.
    RequestApproval,
    /// An older version again.
    RestoreVersion,
    /// What was done is judged.
    ReviewTask,
    /// Ranked passages.
    Search,
    /// Paths by name.
    SearchFiles,
    /// A file from a URL.
    UrlImport,
    /// Whether citations hold.
    VerifyCitations,
    /// What happens next.
    WaitForEvents,
    /// Who the token stands for.
    Whoami,
    /// New bytes.
    WriteFile,
    /// The workspaces, as the reference file server calls them.
    ListAllowedDirectories,
    /// What a folder holds, under that server's name.
    ListDirectoryWithSizes,
    /// Pictures and sound, under that server's name.
    ReadMediaFile,
    /// A file's text, under that server's name.
    ReadTextFile,
    /// What was said.
    AppendMessage,
    /// A memory goes.
    Forget,
    /// What was said last.
    ReadThread,
}

/// What a tool belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Names and bytes.
    Files,
    /// The same by names of the reference file server that ours differ from; they answer, and are listed where that is asked.
    FilesReference,
    /// Versions and snapshots.
    History,
    /// Search, answers, citations.
    Knowledge,
    /// What agents tell each other.
    Mesh,
    /// Conversations that are kept; they are there where that is asked.
    Threads,
    /// Offered whatever is chosen.
    Always,
}

/// What a call does to what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// Nothing.
    Reads,
    /// It comes beside it.
    Adds,
    /// It comes beside it, and a second call brings no more.
    AddsOnce,
    /// It takes its place.
    Replaces,
    /// It takes its place, and a second call changes nothing more.
    ReplacesOnce,
}

/// A tool, as its file declares it.
#[derive(Debug)]
struct Spec {
    /// Stable.
    name: &'static str,
    family: Family,
    /// Whether its holder may do anything with it: what the engine asks for, anywhere at all.
    needs: fn(&Session) -> bool,
    effect: Effect,
    title: &'static str,
    description: &'static str,
    /// The arguments' schema, without `type` and `additionalProperties`.
    input: fn() -> Value,
    /// The names of what comes back, without `type`; the list is short on purpose.
    output: fn() -> Value,
}

impl Tool {
    /// All of ours, by name.
    pub const ALL: [Self; 36] = [
        Self::Ask,
        Self::CallTool,
        Self::ClaimTask,
        Self::CompleteTask,
        Self::CopyFile,
        Self::CreateDirectory,
        Self::CreateSnapshot,
        Self::CreateTask,
        Self::DeleteFile,
        Self::DirectoryTree,
        Self::Dispatch,
        Self::EditFile,
        Self::FailTask,
        Self::FindAgents,
        Self::FindTools,
        Self::GetFileInfo,
        Self::HeartbeatTask,
        Self::ListDirectory,
        Self::ListTasks,
        Self::ListVersions,
        Self::MoveFile,
        Self::PublishEvent,
        Self::ReadFile,
        Self::ReadMultipleFiles,
        Self::Recall,
        Self::Remember,
        Self::RequestApproval,
        Self::RestoreVersion,
        Self::ReviewTask,
        Self::Search,
        Self::SearchFiles,
        Self::UrlImport,
        Self::VerifyCitations,
        Self::WaitForEvents,
        Self::Whoami,
        Self::WriteFile,
    ];

    /// Those that are there for clients of the reference file server, by name.
    pub const REFERENCE: [Self; 4] =
        [Self::ListAllowedDirectories, Self::ListDirectoryWithSizes, Self::ReadMediaFile, Self::ReadTextFile];

    /// Those of conversations, by name.
    pub const THREADS: [Self; 3] = [Self::AppendMessage, Self::Forget, Self::ReadThread];

    /// Every one that there is.
    pub fn every() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().chain(Self::REFERENCE).chain(Self::THREADS)
    }

    fn spec(self) -> &'static Spec {
        match self {
            Self::Ask => &knowledge::ASK,
            Self::CallTool => &mesh::CALL_TOOL,
            Self::ClaimTask => &tasks::CLAIM_TASK,
            Self::CompleteTask => &tasks::COMPLETE_TASK,
            Self::CopyFile => &files::COPY_FILE,
            Self::CreateDirectory => &files::CREATE_DIRECTORY,
            Self::CreateSnapshot => &history::CREATE_SNAPSHOT,
            Self::CreateTask => &tasks::CREATE_TASK,
            Self::DeleteFile => &files::DELETE_FILE,
            Self::DirectoryTree => &files::DIRECTORY_TREE,
            Self::Dispatch => &mesh::DISPATCH,
            Self::EditFile => &files::EDIT_FILE,
            Self::FailTask => &tasks::FAIL_TASK,
            Self::FindAgents => &mesh::FIND_AGENTS,
            Self::FindTools => &mesh::FIND_TOOLS,
            Self::GetFileInfo => &files::GET_FILE_INFO,
            Self::HeartbeatTask => &tasks::HEARTBEAT_TASK,
            Self::ListDirectory => &files::LIST_DIRECTORY,
            Self::ListTasks => &tasks::LIST_TASKS,
            Self::ListVersions => &history::LIST_VERSIONS,
            Self::MoveFile => &files::MOVE_FILE,
            Self::PublishEvent => &mesh::PUBLISH_EVENT,
            Self::ReadFile => &files::READ_FILE,
            Self::ReadMultipleFiles => &files::READ_MULTIPLE_FILES,
            Self::Recall => &knowledge::RECALL,
            Self::Remember => &knowledge::REMEMBER,
            Self::RequestApproval => &mesh::REQUEST_APPROVAL,
            Self::RestoreVersion => &history::RESTORE_VERSION,
            Self::ReviewTask => &tasks::REVIEW_TASK,
            Self::Search => &knowledge::SEARCH,
            Self::SearchFiles => &files::SEARCH_FILES,
            Self::UrlImport => &knowledge::URL_IMPORT,
            Self::VerifyCitations => &knowledge::VERIFY_CITATIONS,
            Self::WaitForEvents => &mesh::WAIT_FOR_EVENTS,
            Self::Whoami => &mesh::WHOAMI,
            Self::WriteFile => &files::WRITE_FILE,
            Self::ListAllowedDirectories => &reference::LIST_ALLOWED_DIRECTORIES,
            Self::ListDirectoryWithSizes => &reference::LIST_DIRECTORY_WITH_SIZES,
            Self::ReadMediaFile => &reference::READ_MEDIA_FILE,
            Self::ReadTextFile => &reference::READ_TEXT_FILE,
            Self::AppendMessage => &threads::APPEND_MESSAGE,
            Self::Forget => &threads::FORGET,
            Self::ReadThread => &threads::READ_THREAD,
        }
    }

    /// The tool of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::every().find(|tool| tool.name() == name)
    }

    /// Stable.
    pub fn name(self) -> &'static str {
        self.spec().name
    }

    /// See [`Family`].
    pub fn family(self) -> Family {
        self.spec().family
    }

    /// Whether a session could do anything with it.
    pub fn is_of_use(self, session: &Session) -> bool {
        (self.spec().needs)(session)
    }

    /// Whether it may wait for something to happen.
    pub fn waits(self) -> bool {
        matches!(self, Self::ClaimTask | Self::WaitForEvents)
    }

    /// The names of the arguments.
    pub fn argument_names(self) -> Vec<String> {
        let input = (self.spec().input)();
        input["properties"].as_object().map(|names| names.keys().cloned().collect()).unwrap_or_default()
    }

    /// As `tools/list` shows it.
    pub fn definition(self) -> Definition {
        let spec = self.spec();
        let mut input = object((spec.input)());
        input.insert("additionalProperties".to_owned(), json!(false));
        Definition::new(spec.name, spec.description, Arc::new(input))
            .with_raw_output_schema(Arc::new(object((spec.output)())))
            .with_annotations(spec.annotations(matches!(self, Self::CallTool | Self::UrlImport)))
    }
}

impl Spec {
    fn annotations(&self, is_open: bool) -> ToolAnnotations {
        let reads = self.effect == Effect::Reads;
        let annotations = ToolAnnotations::with_title(self.title).read_only(reads).open_world(is_open);
        if reads {
            return annotations;
        }
        let replaces = matches!(self.effect, Effect::Replaces | Effect::ReplacesOnce);
        let is_idempotent = matches!(self.effect, Effect::AddsOnce | Effect::ReplacesOnce);
        annotations.destructive(replaces).idempotent(is_idempotent)
    }
}

fn nothing(_: &Session) -> bool {
    true
}

fn lists(session: &Session) -> bool {
    session.may_somewhere(Verb::List)
}

fn reads(session: &Session) -> bool {
    session.may_somewhere(Verb::Read)
}

fn writes(session: &Session) -> bool {
    session.may_somewhere(Verb::Write)
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
    const MAX_LIST_CHARS: usize = 26_000;

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

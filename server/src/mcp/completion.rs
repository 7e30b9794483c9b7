//! Completes what a person types for an argument of a prompt or of the template of resources. Each value is one that
//! its asker may see anyway, by the same calls that list it.

use rmcp::model::{CompleteRequestParams, CompletionInfo, ErrorData, Reference};
use waypost_engine::api::{Error, ErrorKind, Session, TaskState, TasksFilter};

use super::{Toolsets, prompts, resources};
use crate::problem::Problem;

/// Of what is typed; longer than any path.
const MAX_TYPED_BYTES: usize = 8 << 10;

/// What an argument is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Free text.
    Nothing,
    /// A workspace's name.
    Workspace,
    /// `/workspace/folder/file`.
    Path,
    /// An agent's id.
    Agent,
    /// A task that waits for a review.
    Task,
}

/// Values that begin with what was typed: at most 100, and whether there are more.
///
/// # Errors
/// An unknown prompt, template or argument.
pub fn complete(
    session: &Session,
    toolsets: Toolsets,
    asked: &CompleteRequestParams,
) -> Result<CompletionInfo, ErrorData> {
    let typed = asked.argument.value.as_str();
    if typed.len() > MAX_TYPED_BYTES {
        return Ok(CompletionInfo::default());
    }
    let values = match &asked.r#ref {
        Reference::Prompt(prompt) => {
            let wanted = prompts::wanted(session, toolsets, &prompt.name, &asked.argument.name)?;
            values(session, wanted, typed)
        }
        Reference::Resource(template) if template.uri == resources::TEMPLATE => {
            let workspace = asked.context.as_ref().and_then(|context| context.get_argument("workspace"));
            of_template(session, &asked.argument.name, workspace, typed)?
        }
        _ => return Err(ErrorData::invalid_params("there is no such prompt or template", None)),
    };
    first(values.map_err(|error| ErrorData::invalid_params(Problem::from(error).detail, None))?)
}

fn of_template(
    session: &Session,
    argument: &str,
    workspace: Option<&String>,
    typed: &str,
) -> Result<Result<Vec<String>, Error>, ErrorData> {
    match argument {
        "workspace" => Ok(values(session, Wanted::Workspace, typed)),
        "path" => {
            let Some(workspace) = workspace else { return Ok(Ok(Vec::new())) };
            let root = format!("/{workspace}/");
            let found = paths(session, &format!("{root}{typed}"));
            let below = |path: String| path.strip_prefix(&root).map(str::to_owned);
            Ok(found.map(|paths| paths.into_iter().filter_map(below).collect()))
        }
        _ => Err(ErrorData::invalid_params("the template takes only `workspace` and `path`", None)),
    }
}

fn values(session: &Session, wanted: Wanted, typed: &str) -> Result<Vec<String>, Error> {
    let mut values = match wanted {
        Wanted::Nothing => Vec::new(),
        // People leave out what every path begins with.
        Wanted::Path if !typed.starts_with('/') => return paths(session, &format!("/{typed}")),
        Wanted::Workspace => session.list("/")?.into_iter().map(|entry| entry.name).collect(),
        Wanted::Path => paths(session, typed)?,
        Wanted::Agent => {
            let mut ids: Vec<String> = session.agents()?.into_iter().map(|agent| agent.id).collect();
            // One's own inbox needs no card.
            let own = session.principal_id();
            if own.starts_with("agent:") && !ids.iter().any(|id| id == own) {
                ids.insert(0, own.to_owned());
            }
            ids
        }
        Wanted::Task => {
            let filter = TasksFilter { state: Some(TaskState::Review), ..TasksFilter::default() };
            session.tasks(&filter)?.into_iter().map(|task| task.id).collect()
        }
    };
    values.retain(|value| value.starts_with(typed));
    Ok(values)
}

/// What the folder that was typed so far holds; folders end with `/`, so that one can type on.
fn paths(session: &Session, typed: &str) -> Result<Vec<String>, Error> {
    let folder = match typed.rfind('/') {
        None | Some(0) => "/",
        Some(at) => &typed[..at],
    };
    let entries = match session.list(folder) {
        Ok(entries) => entries,
        // What is half typed names nothing yet, and what may not be seen names nothing at all.
        Err(error)
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Invalid | ErrorKind::Denied) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let shown = |entry: &waypost_engine::api::ListEntry| match entry.kind {
        "file" => entry.path.clone(),
        _ => format!("{}/", entry.path),
    };
    Ok(entries.iter().map(shown).filter(|path| path.starts_with(typed)).collect())
}

fn first(mut values: Vec<String>) -> Result<CompletionInfo, ErrorData> {
    let has_more = values.len() > CompletionInfo::MAX_VALUES;
    values.truncate(CompletionInfo::MAX_VALUES);
    CompletionInfo::with_pagination(values, None, has_more)
        .map_err(|detail| ErrorData::internal_error(detail, None))
}

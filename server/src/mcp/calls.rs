use serde::Serialize;
use serde_json::{Value, json};
use waypost_engine::api::{
    AskRequest, BudgetInfo, FindRequest, IndexStatus, NumberedCitation, SearchHit, SearchRequest, Session,
};
use waypost_engine::id::VersionId;
use waypost_engine::location::Location;
use waypost_engine::search::Citation;
use waypost_engine::search::citation::Verdict;

use super::agents;
use super::arguments::{self, CitationArgument};
use super::bound::{budget_bytes, cost, cut, keep_first};
use super::changes;
use super::memory;
use super::reading;
use super::reference;
use super::tasks;
use super::tools::Tool;
use super::toolsets::Toolsets;
use super::upstreams;
use crate::paging::{PageParams, page};
use crate::problem::Problem;
use crate::rest::{MAX_CITATIONS, list_key};

/// Bytes of JSON around the parts of a reply that are counted.
const FRAME: usize = 160;
/// Budgets that `whoami` tells at most.
const MAX_BUDGETS: usize = 8;
/// Paths in one reply at most.
const MAX_PATHS: usize = 1000;
/// Paths in one reply where nothing else is asked.
const DEFAULT_PATHS: usize = 100;

/// A passage, without what a model does not need.
#[derive(Debug, Serialize)]
struct Hit {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<(u32, u32)>,
    #[serde(flatten)]
    location: Option<Location>,
    #[serde(skip_serializing_if = "String::is_empty")]
    heading: String,
    snippet: String,
    score: f64,
    version: VersionId,
    start_byte: usize,
    end_byte: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_url: Option<String>,
}

/// A citation, in few tokens.
#[derive(Debug, Serialize)]
struct Cited {
    n: usize,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<(u32, u32)>,
    #[serde(flatten)]
    location: Option<Location>,
    #[serde(skip_serializing_if = "String::is_empty")]
    heading: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    quote: String,
    version: VersionId,
    start_byte: usize,
    end_byte: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_url: Option<String>,
}

/// Runs a tool.
///
/// # Errors
/// What its arguments or the engine refuse.
pub fn call(session: &Session, toolsets: Toolsets, tool: Tool, arguments: Value) -> Result<Value, Problem> {
    match tool {
        Tool::Ask => ask(session, arguments::read(tool, arguments)?),
        Tool::Dispatch => agents::dispatch(session, &arguments::read(tool, arguments)?),
        Tool::FindAgents => agents::find(session, &arguments::read(tool, arguments)?),
        Tool::FindTools => upstreams::find(session, &arguments::read(tool, arguments)?),
        Tool::ListDirectory => list_directory(session, arguments::read(tool, arguments)?),
        Tool::AppendMessage | Tool::Forget | Tool::ReadThread | Tool::Recall | Tool::Remember => {
            memory::call(session, tool, arguments)
        }
        Tool::RequestApproval => request_approval(session, &arguments::read(tool, arguments)?),
        Tool::ReadFile => reading::read_file(session, &arguments::read(tool, arguments)?),
        Tool::Search => search(session, arguments::read(tool, arguments)?),
        Tool::SearchFiles => search_files(session, &arguments::read(tool, arguments)?),
        Tool::VerifyCitations => verify_citations(session, arguments::read(tool, arguments)?),
        Tool::ClaimTask
        | Tool::CompleteTask
        | Tool::CreateTask
        | Tool::FailTask
        | Tool::HeartbeatTask
        | Tool::ListTasks
        | Tool::ReviewTask => tasks::call(session, tool, arguments),
        Tool::ListAllowedDirectories
        | Tool::ListDirectoryWithSizes
        | Tool::ReadMediaFile
        | Tool::ReadTextFile => reference::call(session, tool, arguments),
        Tool::Whoami => whoami(session, toolsets, arguments::read(tool, arguments)?),
        _ => changes::call(session, tool, arguments),
    }
}

fn request_approval(session: &Session, arguments: &arguments::RequestApproval) -> Result<Value, Problem> {
    let approval = match (&arguments.path, &arguments.request, &arguments.approval) {
        (Some(path), Some(request), None) => session.request_approval(path, request)?,
        (None, None, Some(approval)) => session.approval(approval)?,
        _ => return Err(Problem::invalid("give `path` and `request`, or `approval` alone".to_owned())),
    };
    let mut told = json!({"approval": approval.id, "state": approval.state});
    if let Some(reason) = approval.reason {
        told["reason"] = json!(reason);
    }
    Ok(told)
}

fn search(session: &Session, arguments: arguments::Search) -> Result<Value, Problem> {
    let budget = budget_bytes(arguments.max_tokens)?;
    let request = SearchRequest {
        query: arguments.query,
        path_prefix: arguments.path_prefix,
        workspaces: arguments.workspaces,
        filters: arguments.filters,
        mode: arguments.mode,
        limit: arguments.limit,
        wait_for_seq: arguments.wait_for_seq,
        as_of: arguments.as_of,
        trust: arguments.trust,
        ..SearchRequest::default()
    };
    let reply = session.search(&request)?;
    let index = terse_status(&reply.index);
    let budget = budget.saturating_sub(FRAME + cost(&index));
    let mut hits: Vec<Hit> = reply.results.into_iter().map(terse_hit).collect();
    let omitted = keep_first(&mut hits, budget);
    if let [only] = hits.as_mut_slice() {
        let over = cost(only).saturating_sub(budget);
        let room = cost(&only.snippet).saturating_sub(over + 2);
        cut(&mut only.snippet, room);
    }
    let mut shown = json!({"hits": hits, "index": index});
    if omitted > 0 {
        shown["omitted"] = json!(omitted);
    }
    Ok(shown)
}

fn terse_hit(hit: SearchHit) -> Hit {
    let citation = hit.citation;
    let lines = shown_lines(&citation);
    Hit {
        path: citation.path,
        lines,
        location: citation.location,
        heading: citation.headings.join(" > "),
        snippet: hit.snippet,
        score: (f64::from(hit.score) * 1e4).round() / 1e4,
        version: citation.version,
        start_byte: citation.start_byte,
        end_byte: citation.end_byte,
        source_url: citation.source_url,
    }
}

/// Lines of a text that was made of a page or a sheet are lines of nothing that a reader can open.
fn shown_lines(citation: &Citation) -> Option<(u32, u32)> {
    citation.lines.filter(|_| citation.location.is_none())
}

/// What is as it should be needs no words.
pub(super) fn terse_status(index: &IndexStatus) -> Value {
    let mut shown = json!({"seq": index.seq});
    if index.pending_files > 0 {
        shown["pending_files"] = json!(index.pending_files);
    }
    if !index.degraded.is_empty() {
        shown["degraded"] = json!(index.degraded);
    }
    shown
}

fn ask(session: &Session, arguments: arguments::Ask) -> Result<Value, Problem> {
    let budget = budget_bytes(arguments.max_tokens)?;
    let request = AskRequest {
        question: arguments.question,
        path_prefix: arguments.path_prefix,
        workspaces: arguments.workspaces,
        wait_for_seq: arguments.wait_for_seq,
        as_of: arguments.as_of,
        trust: arguments.trust,
        generator: arguments.generator,
        ..AskRequest::default()
    };
    let is_generated = request.generator.is_some();
    let reply = session.ask(&request)?;
    let mut answer = reply.answer;
    let mut citations: Vec<Cited> = reply.citations.into_iter().map(terse_citation).collect();
    // A quote is also in the answer; a half one could not be verified, so it goes as a whole.
    if cost(&citations) + cost(&answer) + FRAME > budget {
        citations.iter_mut().for_each(|citation| citation.quote.clear());
    }
    cut(&mut answer, budget.saturating_sub(FRAME + cost(&citations)));
    let confidence = (f64::from(reply.confidence) * 1e3).round() / 1e3;
    let mut shown = json!({
        "answer": answer,
        "abstained": reply.abstained,
        "confidence": confidence,
        "citations": citations,
        "index": terse_status(&reply.index),
    });
    if is_generated {
        shown["generator"] = json!(reply.generator);
    }
    Ok(shown)
}

fn terse_citation(numbered: NumberedCitation) -> Cited {
    let citation = numbered.citation;
    let lines = shown_lines(&citation);
    Cited {
        n: numbered.n,
        path: citation.path,
        lines,
        location: citation.location,
        heading: citation.headings.join(" > "),
        quote: citation.quote,
        version: citation.version,
        start_byte: citation.start_byte,
        end_byte: citation.end_byte,
        source_url: citation.source_url,
    }
}

fn list_directory(session: &Session, arguments: arguments::ListDirectory) -> Result<Value, Problem> {
    let budget = budget_bytes(arguments.max_tokens)?.saturating_sub(FRAME);
    let entries = session.list(arguments.path.as_deref().unwrap_or("/"))?;
    let mut params = PageParams { limit: arguments.limit, cursor: arguments.cursor };
    loop {
        let page = page(entries.clone(), &params, list_key)?;
        let terse: Vec<Value> = page.items.iter().map(terse_entry).collect();
        if cost(&terse) <= budget || terse.len() == 1 {
            let mut shown = json!({"entries": terse});
            if let Some(cursor) = page.next_cursor {
                shown["next_cursor"] = json!(cursor);
            }
            return Ok(shown);
        }
        params.limit = Some((terse.len() * 3 / 4).max(1));
    }
}

fn terse_entry(entry: &waypost_engine::api::ListEntry) -> Value {
    match entry.size {
        Some(size) => json!({"name": entry.name, "kind": entry.kind, "size": size}),
        None => json!({"name": entry.name, "kind": entry.kind}),
    }
}

fn search_files(session: &Session, arguments: &arguments::SearchFiles) -> Result<Value, Problem> {
    let budget = budget_bytes(arguments.max_tokens)?.saturating_sub(FRAME);
    let limit = arguments.limit.unwrap_or(DEFAULT_PATHS);
    if !(1..=MAX_PATHS).contains(&limit) {
        return Err(Problem::invalid(format!("`limit` is {limit}: expected 1 to {MAX_PATHS}")));
    }
    let below = arguments.path.as_deref().unwrap_or("/");
    let mut paths = session.find_files(&FindRequest {
        below,
        pattern: &arguments.pattern,
        exclude: &arguments.exclude,
        after: None,
        limit: limit + 1,
    })?;
    let more = paths.len() > limit;
    paths.truncate(limit);
    let omitted = keep_first(&mut paths, budget);
    let mut shown = json!({"paths": paths});
    if more || omitted > 0 {
        shown["more"] = json!(true);
    }
    Ok(shown)
}

fn verify_citations(session: &Session, arguments: arguments::VerifyCitations) -> Result<Value, Problem> {
    let n_given = arguments.citations.len();
    if n_given > MAX_CITATIONS {
        return Err(Problem::invalid(format!(
            "`citations` has {n_given} items: expected at most {MAX_CITATIONS}"
        )));
    }
    let citations = arguments.citations.into_iter().map(whole_citation).collect();
    let verified = session.verify(citations)?;
    let results: Vec<Value> = verified
        .into_iter()
        .map(|verified| {
            let path = verified.citation.path;
            match verified.verdict {
                Verdict::Valid => json!({"path": path, "status": "valid"}),
                Verdict::Stale { now: None } => json!({"path": path, "status": "stale", "now": null}),
                Verdict::Stale { now: Some(now) } => json!({"path": path, "status": "stale", "now": {
                    "version": now.version, "start_byte": now.start_byte, "end_byte": now.end_byte, "lines": now.lines,
                    "place": now.location.map(|place| place.to_string()),
                }}),
                Verdict::Invalid { reason } => json!({"path": path, "status": "invalid", "reason": reason}),
            }
        })
        .collect();
    Ok(json!({"results": results}))
}

fn whole_citation(given: CitationArgument) -> Citation {
    let workspace = given.path.trim_start_matches('/').split('/').next().unwrap_or_default().to_owned();
    Citation {
        workspace,
        path: given.path,
        version: given.version,
        start_byte: given.start_byte,
        end_byte: given.end_byte,
        lines: None,
        location: None,
        headings: Vec::new(),
        quote: given.quote,
        source_url: None,
        fetched_at: None,
    }
}

fn whoami(session: &Session, toolsets: Toolsets, _: arguments::Whoami) -> Result<Value, Problem> {
    let principal = session.principal();
    let mut workspaces: Vec<String> = session.list("/")?.into_iter().map(|entry| entry.name).collect();
    workspaces.truncate(MAX_PATHS);
    let mut shown = json!({
        "principal": principal.id,
        "admin": principal.admin,
        "workspaces": workspaces,
        "toolsets": toolsets.names(),
    });
    let budgets = session.own_budgets()?;
    if !budgets.is_empty() {
        shown["budget"] = budgets.iter().take(MAX_BUDGETS).map(terse_budget).collect();
    }
    Ok(shown)
}

/// What is left, of what, until when.
fn terse_budget(budget: &BudgetInfo) -> Value {
    let mut shown = json!({"id": budget.id, "per": budget.period, "left": budget.state.left});
    if let Some(target) = &budget.target {
        shown["target"] = json!(target);
    }
    if let Some(resets_at) = &budget.state.resets_at {
        shown["resets_at"] = json!(resets_at);
    }
    shown
}

use std::sync::Arc;

use axum::body::{Body as HttpBody, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use waypost_engine::api::{
    EditReply, FileContent, FileInfo, FindRequest, Session, TextEdit, TreeEntry, VersionInfo, WriteOptions,
    WriteReply,
};
use waypost_engine::change::Expected;
use waypost_engine::id::VersionId;

use super::extract::{Body, Content, FilePath, NoParams, Params};
use super::made;
use super::range::{Part, part};
use crate::paging::{Page, PageParams, page_in_order};
use crate::problem::Problem;
use crate::serve::App;

/// The fence of the lock that a change stands under.
const FENCE: HeaderName = HeaderName::from_static("waypost-fence");
/// The same, as some would write it.
const OTHER_FENCES: [HeaderName; 2] =
    [HeaderName::from_static("x-waypost-fence"), HeaderName::from_static("fence")];
/// Folders of a tree where nothing else is asked.
const DEFAULT_DEPTH: usize = 3;
/// Paths of one answer where nothing else is asked, and at most.
const DEFAULT_PATHS: usize = 100;
const MAX_PATHS: usize = 1000;

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadParams {
    version: Option<String>,
    as_of: Option<String>,
    head: Option<usize>,
    tail: Option<usize>,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteParams {
    #[serde(default)]
    recursive: bool,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiffParams {
    from: String,
    to: Option<String>,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TreeParams {
    depth: Option<usize>,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindParams {
    pattern: String,
    path: Option<String>,
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
    cursor: Option<String>,
}

/// Of `POST /v1/move` and `/v1/copy`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CarryRequest {
    #[serde(alias = "source")]
    from: String,
    #[serde(alias = "destination")]
    to: String,
    expected_version: Option<VersionId>,
    fence: Option<u64>,
}

/// Of `POST /v1/restore`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreRequest {
    path: String,
    version: String,
    expected_version: Option<VersionId>,
    fence: Option<u64>,
}

/// Of `POST /v1/edit`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EditRequest {
    path: String,
    edits: Vec<TextEdit>,
    #[serde(default)]
    dry_run: bool,
    expected_version: Option<VersionId>,
    fence: Option<u64>,
}

/// Of a change of bytes.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FenceParams {
    /// Of the lock that the change stands under; `Waypost-Fence` says the same.
    fence: Option<u64>,
}

impl FenceParams {
    fn over(self, options: WriteOptions) -> WriteOptions {
        WriteOptions { fence: self.fence.or(options.fence), ..options }
    }
}

/// Of `POST /v1/folders`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FolderRequest {
    path: String,
}

/// Of `GET /v1/tree/{path…}`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct TreeReply {
    entries: Vec<TreeEntry>,
    cut: bool,
}

/// Of `GET /v1/diff/{path…}`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct DiffReply {
    diff: String,
}

/// `GET` and `HEAD /v1/files/{path…}`.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    method: Method,
    FilePath(path): FilePath,
    Params(params): Params<ReadParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let lines = match (params.head, params.tail) {
        (Some(_), Some(_)) => return Err(Problem::invalid("expected at most one of `head` and `tail`")),
        (head, tail) => (head, tail),
    };
    let (version, as_of) = (params.version, params.as_of);
    let read = move || session.read_file(&path, version.as_deref(), as_of.as_deref());
    let mut file = app.bridge.run(read).await?;
    // Of the whole file: lines and ranges of it may begin anywhere.
    if let Some(charset) = charset_of(&file.bytes).filter(|_| file.mime_type.starts_with("text/")) {
        file.mime_type = format!("{}; charset={charset}", file.mime_type);
    }
    match lines {
        (Some(head), _) => file.bytes.truncate(end_of_line(&file.bytes, head)),
        (_, Some(tail)) => drop(file.bytes.drain(..start_of_last(&file.bytes, tail))),
        _ => {}
    }
    answer(file, &method, &headers)
}

/// How a text is written, where its bytes say so; bytes that go on as UTF-8 all the way are that.
fn charset_of(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xfe, 0, 0, ..] => None,
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("utf-16"),
        _ if bytes.contains(&0) => None,
        _ => std::str::from_utf8(bytes).ok().map(|_| "utf-8"),
    }
}

/// One past the `n_lines`th line's end.
fn end_of_line(bytes: &[u8], n_lines: usize) -> usize {
    bytes.split_inclusive(|byte| *byte == b'\n').take(n_lines).map(<[u8]>::len).sum()
}

fn start_of_last(bytes: &[u8], n_lines: usize) -> usize {
    let total = bytes.split_inclusive(|byte| *byte == b'\n').count();
    end_of_line(bytes, total.saturating_sub(n_lines))
}

/// `PUT /v1/files/{path…}`.
pub async fn write(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    FilePath(path): FilePath,
    Params(params): Params<FenceParams>,
    headers: HeaderMap,
    Content(bytes): Content,
) -> Result<Response, Problem> {
    check_whole(&headers)?;
    let options = params.over(options(&headers)?);
    written(app.bridge.run(move || session.write_file(&path, &bytes, &options)).await?)
}

/// `POST /v1/append/{path…}`.
pub async fn append(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    FilePath(path): FilePath,
    Params(params): Params<FenceParams>,
    headers: HeaderMap,
    Content(bytes): Content,
) -> Result<Response, Problem> {
    check_whole(&headers)?;
    let options = params.over(options(&headers)?);
    written(app.bridge.run(move || session.append_file(&path, &bytes, &options)).await?)
}

fn written(reply: WriteReply) -> Result<Response, Problem> {
    let status = made(reply.created);
    let etag = reply.version.map(|version| format!("\"{version}\""));
    let response = (status, Json(reply)).into_response();
    Ok(match etag {
        Some(etag) => with_value(response, header::ETAG, &etag),
        None => response,
    })
}

/// `DELETE /v1/files/{path…}`.
pub async fn delete(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    FilePath(path): FilePath,
    Params(params): Params<DeleteParams>,
    headers: HeaderMap,
) -> Result<Json<WriteReply>, Problem> {
    let options = options(&headers)?;
    app.bridge.run(move || session.delete(&path, &options, params.recursive)).await.map(Json)
}

/// `POST /v1/edit`.
pub async fn edit(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<EditRequest>,
) -> Result<Json<EditReply>, Problem> {
    let options = standing_on(request.expected_version, request.fence);
    let edit = move || session.edit_file(&request.path, &request.edits, &options, request.dry_run);
    app.bridge.run(edit).await.map(Json)
}

/// `POST /v1/move`.
pub async fn move_path(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    headers: HeaderMap,
    Body(request): Body<CarryRequest>,
) -> Result<Json<WriteReply>, Problem> {
    let options = carried_on(&headers, request.expected_version, request.fence)?;
    app.bridge.run(move || session.move_path(&request.from, &request.to, &options)).await.map(Json)
}

/// `POST /v1/copy`.
pub async fn copy_path(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    headers: HeaderMap,
    Body(request): Body<CarryRequest>,
) -> Result<Json<WriteReply>, Problem> {
    let options = carried_on(&headers, request.expected_version, request.fence)?;
    app.bridge.run(move || session.copy_path(&request.from, &request.to, &options)).await.map(Json)
}

/// `POST /v1/restore`.
pub async fn restore(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<RestoreRequest>,
) -> Result<Json<WriteReply>, Problem> {
    let options = standing_on(request.expected_version, request.fence);
    let restore = move || session.restore_version(&request.path, &request.version, &options);
    app.bridge.run(restore).await.map(Json)
}

/// `POST /v1/folders`.
pub async fn create_folder(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<FolderRequest>,
) -> Result<(StatusCode, Json<WriteReply>), Problem> {
    let folder = app.bridge.run(move || session.create_folder(&request.path)).await?;
    Ok((made(folder.created), Json(folder)))
}

/// `GET /v1/info/{path…}`.
pub async fn info(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    FilePath(path): FilePath,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Json<FileInfo>, Problem> {
    app.bridge.run(move || session.info(&path)).await.map(Json)
}

/// `GET /v1/tree/{path…}`.
pub async fn tree(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    FilePath(path): FilePath,
    Params(params): Params<TreeParams>,
) -> Result<Json<TreeReply>, Problem> {
    let depth = params.depth.unwrap_or(DEFAULT_DEPTH).max(1);
    let (entries, cut) = app.bridge.run(move || session.tree(&path, depth, &[])).await?;
    Ok(Json(TreeReply { entries, cut }))
}

/// `GET /v1/find`.
pub async fn find(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<FindParams>,
) -> Result<Json<Page<String>>, Problem> {
    let limit = params.limit.unwrap_or(DEFAULT_PATHS);
    if !(1..=MAX_PATHS).contains(&limit) {
        return Err(Problem::invalid(format!("`limit` is {limit}: expected 1 to {MAX_PATHS}")));
    }
    let find = move || {
        session.find_files(&FindRequest {
            below: params.path.as_deref().unwrap_or("/"),
            pattern: &params.pattern,
            exclude: &[],
            after: params.cursor.as_deref(),
            limit: limit + 1,
        })
    };
    let mut items = app.bridge.run(find).await?;
    let has_more = items.len() > limit;
    items.truncate(limit);
    Ok(Json(Page { next_cursor: items.last().filter(|_| has_more).cloned(), items }))
}

/// `GET /v1/versions/{path…}`.
pub async fn versions(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    FilePath(path): FilePath,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<VersionInfo>>, Problem> {
    let versions = app.bridge.run(move || session.versions(&path)).await?;
    page_in_order(versions, &params).map(Json)
}

/// `GET /v1/diff/{path…}`.
pub async fn diff(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    FilePath(path): FilePath,
    Params(params): Params<DiffParams>,
) -> Result<Json<DiffReply>, Problem> {
    let diff = app.bridge.run(move || session.diff(&path, &params.from, params.to.as_deref())).await?;
    Ok(Json(DiffReply { diff }))
}

fn standing_on(version: Option<VersionId>, fence: Option<u64>) -> WriteOptions {
    WriteOptions { expected: version.map_or(Expected::Any, |version| Expected::OneOf(vec![version])), fence }
}

/// What the body says, or else the headers.
pub(super) fn carried_on(
    headers: &HeaderMap,
    version: Option<VersionId>,
    fence: Option<u64>,
) -> Result<WriteOptions, Problem> {
    let given = options(headers)?;
    let said = standing_on(version, fence);
    let expected = if said.expected == Expected::Any { given.expected } else { said.expected };
    Ok(WriteOptions { expected, fence: said.fence.or(given.fence) })
}

/// `If-Match`, `If-None-Match: *` and the fence, as a change reads them.
fn options(headers: &HeaderMap) -> Result<WriteOptions, Problem> {
    // A precondition that can't be read is none that may be passed over.
    for name in [header::IF_MATCH, header::IF_NONE_MATCH, FENCE] {
        let mut values = headers.get_all(&name).iter();
        let is_plain = values.next().is_none_or(|value| value.to_str().is_ok()) && values.next().is_none();
        if !is_plain {
            return Err(Problem::invalid(format!("`{name}` is given twice, or is not plain text")));
        }
    }
    let expected = match (text(headers, header::IF_MATCH), text(headers, header::IF_NONE_MATCH)) {
        (None, None) => Expected::Any,
        (Some("*"), None) => Expected::Present,
        // A tag that is none of ours is the tag of nothing that is here.
        (Some(tags), None) => Expected::OneOf(tags.split(',').filter_map(read_tag).collect()),
        (None, Some("*")) => Expected::Absent,
        (None, Some(_)) => {
            return Err(Problem::invalid("`If-None-Match` of a change is `*`: only where nothing is there"));
        }
        (Some(_), Some(_)) => {
            return Err(Problem::invalid("expected at most one of `If-Match` and `If-None-Match`"));
        }
    };
    let [other, short] = OTHER_FENCES;
    let given = text(headers, FENCE).or_else(|| text(headers, other)).or_else(|| text(headers, short));
    let read = |fence: &str| {
        let wrong = || Problem::invalid("`Waypost-Fence` is no number: expected the `fence` of a lock");
        fence.parse().map_err(|_| wrong())
    };
    Ok(WriteOptions { expected, fence: given.map(read).transpose()? })
}

/// A part that took the whole file's place would lose the rest of it (RFC 9110, section 14.4).
fn check_whole(headers: &HeaderMap) -> Result<(), Problem> {
    if !headers.contains_key(header::CONTENT_RANGE) {
        return Ok(());
    }
    let hint = "`PUT /v1/files/PATH` takes all bytes of the file, `POST /v1/append/PATH` those to add at its end, and \
                `POST /v1/edit` replaces texts in it";
    let problem = Problem::invalid("`Content-Range` is given: files are not written in parts");
    Err(Problem { hint: Some(hint), ..problem })
}

/// The version of a strong tag (RFC 9110, section 8.8.3); a weak one matches nothing here.
fn read_tag(tag: &str) -> Option<VersionId> {
    VersionId::parse(tag.trim().trim_matches('"')).ok()
}

fn answer(file: FileContent, method: &Method, headers: &HeaderMap) -> Result<Response, Problem> {
    let etag = format!("\"{}\"", file.version);
    if text(headers, header::IF_MATCH).is_some_and(|tags| !names(tags, &etag, false)) {
        let detail = format!("the file's version is `{}`, none of those in `If-Match`", file.version);
        return Err(Problem::new(StatusCode::PRECONDITION_FAILED, "version_conflict", detail));
    }
    if text(headers, header::IF_NONE_MATCH).is_some_and(|tags| names(tags, &etag, true)) {
        return Ok(with_headers(StatusCode::NOT_MODIFIED.into_response(), &etag, None));
    }
    let is_same = text(headers, header::IF_RANGE).is_none_or(|tag| tag.trim() == etag);
    let wanted = text(headers, header::RANGE).filter(|_| is_same && *method == Method::GET);
    let len = file.bytes.len();
    let bytes = Bytes::from(file.bytes);
    let mime = Some(file.mime_type.as_str());
    match part(wanted, len) {
        Part::Whole => Ok(with_headers(HttpBody::from(bytes).into_response(), &etag, mime)),
        Part::Some(range) => {
            let shown = format!("bytes {}-{}/{len}", range.start, range.end - 1);
            let response = (StatusCode::PARTIAL_CONTENT, HttpBody::from(bytes.slice(range))).into_response();
            Ok(with_value(with_headers(response, &etag, mime), header::CONTENT_RANGE, &shown))
        }
        Part::Unsatisfiable => {
            let detail = format!("the file has {len} bytes: none lie in the range");
            let problem = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "invalid_range", detail);
            Ok(with_value(problem.into_response(), header::CONTENT_RANGE, &format!("bytes */{len}")))
        }
    }
}

/// Whether a list of tags names this one, or any; `If-None-Match` compares weakly, `If-Match` strongly.
fn names(tags: &str, etag: &str, weakly: bool) -> bool {
    tags.trim() == "*"
        || tags.split(',').map(str::trim).any(|tag| {
            let tag = if weakly { tag.strip_prefix("W/").unwrap_or(tag) } else { tag };
            tag == etag
        })
}

/// A file is somebody else's text: a browser must neither guess what it is nor run it.
fn with_headers(mut response: Response, etag: &str, mime: Option<&str>) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let response = with_value(response, header::ETAG, etag);
    match mime {
        Some(mime) => with_value(response, header::CONTENT_TYPE, mime),
        None => response,
    }
}

fn with_value(mut response: Response, name: HeaderName, value: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_from_either_end() {
        let text = b"one\ntwo\nthree";
        assert_eq!(end_of_line(text, 2), 8);
        assert_eq!(end_of_line(text, 9), text.len());
        assert_eq!(start_of_last(text, 1), 8);
        assert_eq!(start_of_last(text, 9), 0);
    }

    #[test]
    fn preconditions_are_read_as_versions() {
        let version = VersionId::of(b"x");
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_MATCH, HeaderValue::from_str(&format!("\"{version}\"")).unwrap());
        assert_eq!(options(&headers).unwrap().expected, Expected::OneOf(vec![version]));
        let among = HeaderValue::from_str(&format!("\"short\", \"{version}\"")).unwrap();
        headers.insert(header::IF_MATCH, among);
        assert_eq!(options(&headers).unwrap().expected, Expected::OneOf(vec![version]));
        headers.insert(header::IF_MATCH, HeaderValue::from_static("\"short\""));
        assert_eq!(options(&headers).unwrap().expected, Expected::OneOf(Vec::new()), "it matches nothing");
        // What can't be read is refused, never passed over.
        headers.insert(header::IF_MATCH, HeaderValue::from_bytes(b"\xff\xfe").unwrap());
        assert_eq!(options(&headers).unwrap_err().code, "invalid_request");
        headers.remove(header::IF_MATCH);
        headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static("*"));
        assert_eq!(options(&headers).unwrap().expected, Expected::Absent);
    }
}

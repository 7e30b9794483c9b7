//! Tools and a prompt that need something of the client before they answer, in both eras: the newer one answers with
//! what it needs and is asked again, the older one asks in between.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use rmcp::RoleServer;
use rmcp::model::{CallToolResult, ErrorData, InputRequiredResult, InputResponses, ServerRequest};
use rmcp::service::RequestContext;
use serde_json::{Map, Value, json};

use super::prescribed::{complete, elicitation, sampling, text, typed};

/// Drawn anew by each process: who does not know it can't seal.
static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// What came of a round.
pub enum Played {
    /// The client has to be asked first.
    Ask(InputRequiredResult),
    /// Everything is there.
    Done(Value),
}

/// What is asked, round by round.
fn rounds(name: &str) -> Option<Vec<Value>> {
    let string = |field: &str| json!({field: {"type": "string"}});
    let roots = json!({"method": "roots/list", "params": {}});
    let user_name = elicitation("What is your name?", &string("name"));
    let confirm = elicitation("Please confirm", &json!({"ok": {"type": "boolean"}}));
    Some(match name {
        "test_input_required_result_elicitation" | "test_streaming_elicitation" => {
            vec![json!({"user_name": user_name})]
        }
        "test_input_required_result_sampling" => {
            vec![json!({"capital_question": sampling("What is the capital of France?")})]
        }
        "test_input_required_result_list_roots" => vec![json!({"client_roots": roots})],
        "test_input_required_result_request_state" | "test_input_required_result_tampered_state" => {
            vec![json!({"confirm": confirm})]
        }
        "test_input_required_result_multiple_inputs" => {
            vec![
                json!({"user_name": user_name, "greeting": sampling("Generate a greeting"), "client_roots": roots}),
            ]
        }
        "test_input_required_result_multi_round" => vec![
            json!({"step1": elicitation("Step 1: What is your name?", &string("name"))}),
            json!({"step2": elicitation("Step 2: What is your favorite color?", &string("color"))}),
        ],
        "test_input_required_result_capabilities" => {
            vec![json!({"user_name": user_name, "greeting": sampling("Generate a greeting")})]
        }
        "test_input_required_result_prompt" => {
            vec![
                json!({"user_context": elicitation("What context should the prompt use?", &string("context"))}),
            ]
        }
        _ => return None,
    })
}

/// Plays a round of a tool or prompt; `None` where it asks for nothing.
pub fn play(
    name: &str,
    responses: Option<&InputResponses>,
    state: Option<&str>,
    context: &RequestContext<RoleServer>,
) -> Option<Result<Played, ErrorData>> {
    let rounds = rounds(name)?;
    let refused = || ErrorData::invalid_params("the request state is not ours", None);
    let at = match state.map(|state| open(name, state).filter(|at| *at < rounds.len())) {
        Some(None) => return Some(Err(refused())),
        Some(Some(at)) => at,
        None => 0,
    };
    let wanted = declared(&rounds[at], context);
    let is_answered = |(key, request): (&String, &Value)| {
        let response = responses.and_then(|responses| responses.get(key));
        response.is_some_and(|response| answers(request, response))
    };
    if !wanted.iter().all(is_answered) {
        return Some(Ok(ask(name, at, wanted)));
    }
    Some(Ok(match rounds.get(at + 1) {
        Some(next) => ask(name, at + 1, declared(next, context)),
        None => Played::Done(text(&format!("state-ok {}", json!(responses)))),
    }))
}

fn ask(name: &str, at: usize, wanted: Map<String, Value>) -> Played {
    let asked =
        json!({"resultType": "input_required", "inputRequests": wanted, "requestState": seal(name, at)});
    Played::Ask(typed(asked))
}

/// What the client said that it can answer.
fn declared(requests: &Value, context: &RequestContext<RoleServer>) -> Map<String, Value> {
    let capabilities = json!(context.client_capabilities());
    let can = |request: &Value| match request["method"].as_str() {
        Some("elicitation/create") => capabilities["elicitation"].is_object(),
        Some("sampling/createMessage") => capabilities["sampling"].is_object(),
        _ => capabilities["roots"].is_object(),
    };
    let all = requests.as_object().into_iter().flatten();
    all.filter(|(_, request)| can(request)).map(|(key, request)| (key.clone(), request.clone())).collect()
}

fn answers(request: &Value, response: &Value) -> bool {
    match request["method"].as_str() {
        Some("elicitation/create") => response["action"] == "accept" && response["content"].is_object(),
        Some("sampling/createMessage") => response["content"].is_object() || response["content"].is_array(),
        _ => response["roots"].is_array(),
    }
}

fn seal(name: &str, at: usize) -> String {
    format!("{at}.{:016x}", KEY.hash_one((name, at)))
}

fn open(name: &str, state: &str) -> Option<usize> {
    let at = state.split('.').next()?.parse().ok()?;
    (seal(name, at) == state).then_some(at)
}

/// Asks a client of the older era in the middle of a call.
pub async fn ask_between(
    tool: &str,
    arguments: &Value,
    context: &RequestContext<RoleServer>,
) -> CallToolResult {
    let request = match tool {
        "test_sampling" => sampling(arguments["prompt"].as_str().unwrap_or_default()),
        "test_elicitation" => {
            let properties = json!({"username": {"type": "string"}, "email": {"type": "string"}});
            elicitation(arguments["message"].as_str().unwrap_or_default(), &properties)
        }
        "test_elicitation_sep1034_defaults" => elicitation("Defaults", &defaults()),
        _ => elicitation("Choices", &choices()),
    };
    let request: ServerRequest = typed(request);
    let (said, is_error) = match context.peer.send_request(request).await {
        Ok(result) => (format!("response: {}", json!(result)), false),
        Err(error) => (format!("the client can't be asked: {error}"), true),
    };
    complete(json!({"content": [text(&said)], "isError": is_error}))
}

fn defaults() -> Value {
    json!({
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": true},
    })
}

fn choices() -> Value {
    let titled = json!([
        {"const": "value1", "title": "First Option"},
        {"const": "value2", "title": "Second Option"},
        {"const": "value3", "title": "Third Option"},
    ]);
    let plain = json!(["option1", "option2", "option3"]);
    json!({
        "untitledSingle": {"type": "string", "enum": plain},
        "titledSingle": {"type": "string", "oneOf": titled},
        "legacyEnum": {
            "type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": plain}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled}},
    })
}

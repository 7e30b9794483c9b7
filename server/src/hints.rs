//! Takes the code of a refusal, or what is not there, gives what to do next over REST.

/// The legal next step, by code.
pub fn hint(code: &str) -> Option<&'static str> {
    Some(match code {
        "invalid_path" => "paths look like `/workspace/folder/file.md`",
        "invalid_version" => "`GET /v1/versions/PATH` lists a file's versions",
        "not_found" => {
            "list a folder with `GET /v1/list/`, or search for it; what may not be read is not listed"
        }
        "no_route" => {
            "name an agent with `to`, or say it in other words; `POST /v1/route` shows who comes into question"
        }
        "ambiguous_route" => {
            "ask the question, or name one of them with `to`; what has parts for several is handed on part by part"
        }
        "route_unavailable" => {
            "ask again later, or put it into its inbox all the same with `to`; `POST /v1/route` shows how each stands"
        }
        "invalid_card" => {
            "send a card such as `{\"name\", \"description\", \"capabilities\", \"examples\"}`, or an A2A agent card"
        }
        "unauthorized" => "send `Authorization: Bearer wp_…` with a token of this home",
        "unsupported_type" => "send JSON with `Content-Type: application/json`, and no body compressed",
        "busy" | "timeout" => "wait a second and ask again, or ask for less",
        "body_timeout" => {
            "send the request again, all of it; `Content-Length` is the length of the body in bytes"
        }
        "workspace_busy" => "try again in a few seconds, when what works on it has ended",
        "workspace_moved" => "ask again in a moment; nothing was written",
        "index_behind" => "ask again in a moment, or without `wait_for_seq`",
        "forbidden_host" => "add the name to `allowed_hosts`",
        "forbidden_origin" => "add the origin to `allowed_origins`",
        "forbidden" => "ask an admin for a grant; `waypost grant explain` names the rule that decides",
        "approval_required" => {
            "somebody with `approve` decides, by `waypost approval grant ID --url URL` or `POST /v1/approvals/ID/grant`; it then \
             happens by itself"
        }
        "approval_closed" => "ask again: read the file, and repeat the change",
        "version_conflict" => "read the file again and use its newest version",
        "already_exists" => "choose another name, or delete what is there first",
        "name_conflict" => "use the name that is there, or one that differs in more than case and form",
        "name_taken" => "choose another name; what stands in the way may not be seen with this token",
        "crosses_gate" => {
            "move, copy, write or delete the files one by one: each leaves an approval to wait; or ask somebody with `approve`"
        }
        "not_a_file" => "list the folder above to see what stands there",
        "lock_held" => "wait until the lease ends, or ask its holder",
        "lock_expired" => {
            "take a new lock, read the file again, and write with its fence; a task is another's by now: claim the next one"
        }
        "wrong_state" => "look at the task again with `GET /v1/tasks/ID`",
        "own_work" => "somebody else with `approve`, or the task's creator, reviews it",
        "edit_mismatch" => "read the file again, and give a text that stands in it exactly once",
        "address_refused" => {
            "the server's operator may allow it: `waypost serve --net-allow HOST`, `allow` under `[net]` in `waypost.toml`, or \
             `WAYPOST_NET_ALLOW`; an address, a range such as 10.0.0.0/8, or a host name"
        }
        "budget_exceeded" => {
            "wait until `resets_at`, ask for less, or ask an admin for more; `GET /v1/budgets` shows what is left"
        }
        "fetch_timeout" => "ask again later, or with a longer `timeout_seconds`",
        "robots_refused" => "import single pages that you may use, or ask the site's owner",
        "hop_limit" => "hand nothing on: answer with what there is, or begin anew in a trace of its own",
        "loop_detected" => {
            "stop here: the trace waits for a person, where `approval_id` is told, by `waypost approval grant ID --url URL`, or has ended; \
             what brings nothing new is not worth another handover"
        }
        "too_many_budgets" => "remove one with `DELETE /v1/budgets/ID`",
        "invalid_arguments" => "`GET /v1/tools/ID` shows what the tool takes",
        "tool_declared" => {
            "call it where it is, or have the operator name its server; `GET /v1/tools/ID` says what it takes"
        }
        "tool_unavailable" => "wait a moment and ask again; `GET /v1/upstreams` shows the owner why",
        "tool_quarantined" => "look at the difference in `GET /v1/approvals`, and grant or deny it",
        "tool_timeout" => {
            "the tool may have done its work all the same; `timeout_seconds` under `[[upstream]]` gives it longer"
        }
        "idempotency_mismatch" => "take a new key for a new request",
        "idempotency_in_progress" => "wait a second and ask again with the same key and the same request",
        "idempotency_not_kept" => "look at what is there now: the request is done",
        "rate_limited" => {
            "wait for as long as `Retry-After` says; `[limits]` in `waypost.toml` sets how much a token may ask"
        }
        "invalid_secret" => "leave `secret` out to have one made",
        "invalid_pattern" => "patterns look like `/workspace/folder/**`; `*` stays within one name",
        _ => return None,
    })
}

/// Where to look for what is not there.
pub fn hint_for_missing(what: &str) -> Option<&'static str> {
    Some(match what {
        "file" | "folder" | "file or folder" => return hint("not_found"),
        "memory" => {
            "an agent's memory takes a grant: `waypost grant add AGENT list,read,write /WORKSPACE/memory/NAME/**`"
        }
        "workspace" => "`GET /v1/workspaces` lists those that you may see",
        "version" => "`GET /v1/versions/PATH` lists the versions that the file had there",
        "snapshot" => "`GET /v1/snapshots` lists those that you may see",
        "token" => "`GET /v1/tokens` lists them, for an admin",
        "grant" => "`GET /v1/grants` lists them, for an admin",
        "principal" | "principal or group" | "group" => {
            "`GET /v1/principals` and `GET /v1/groups` list them, for an admin"
        }
        "gate" => "`GET /v1/gates` lists them, for an admin",
        "budget" => "`GET /v1/budgets` lists those that bind you",
        "delivery" => "`GET /v1/webhooks/ID/deliveries` lists those of a webhook; older ones are forgotten",
        "decision" => "`POST /v1/route` answers the id of its decision; older ones are forgotten",
        "lesson" => "`GET /v1/route/feedback` lists what was learned",
        "trace" => "`GET /v1/traces` lists those that you may see",
        "consumer group" | "topic" => "`GET /v1/consumers` lists the groups of a topic",
        "note" | "thread" => "`GET /v1/memory` lists the notes and threads that you may read",
        "server" => "`GET /v1/upstreams` lists the servers of tools",
        "agent or tool" => "`GET /v1/agents` and `GET /v1/tools` list those that you may see",
        "lock" => "`GET /v1/locks` lists those that you may see; one that has run out is gone",
        "approval" => "`GET /v1/approvals` lists those that you may see",
        "webhook" => "`GET /v1/webhooks` lists yours",
        "agent" => "`GET /v1/agents` lists those that you may see",
        "tool" => "`GET /v1/tools` lists those that you may use",
        "task" => "`GET /v1/tasks` lists those that you may see",
        _ => return None,
    })
}

// Approvals: what waits at a gate, with what it would change, to be granted or denied.

import { api } from "./api.js";
import { fileLink, h, link, short, when } from "./dom.js";
import { diff } from "./text.js";
import {
  button,
  code,
  confirm,
  crumbs,
  empty,
  facts,
  fillIn,
  head,
  section,
  state,
  table,
  tabs,
  toast,
} from "./ui.js";

const STATES = ["pending", "granted", "denied", "stale"];

export async function show(view) {
  await (view.rest.length ? showOne(view) : showAll(view));
}

/** What is wanted, in a sentence. */
function wish(approval) {
  const { act } = approval;
  const words = {
    write: `write ${act.path}`,
    move: `move ${act.from} to ${act.to}`,
    copy: `copy ${act.from} to ${act.to}`,
    delete: `delete ${act.path}`,
    task: `go on with the task ${act.path}`,
    trace: `let ${act.from} hand to ${act.to} again`,
    request: `have a decision about ${act.path}`,
    tool: `use the tool ${act.tool} as it says now`,
  };
  return words[act.act] || `${act.act} ${approval.path}`;
}

async function showAll(view) {
  const wanted = view.query.get("state") || "pending";
  const list = h("div", {});
  view.main.replaceChildren(
    head(
      "Approvals",
      "Changes behind a gate wait here for somebody with the right to approve. What is granted happens at once.",
    ),
    tabs(
      "States",
      STATES.map((name) => [name, link("approvals", { state: name === "pending" ? "" : name })]),
      wanted,
    ),
    list,
  );
  const fill = () =>
    fillIn(
      list,
      async () => {
        const approvals = await api.all("/v1/approvals", { state: wanted }, 1000, view.signal);
        if (wanted === "pending") view.count("approvals", approvals.length);
        if (!approvals.length)
          return empty(
            wanted === "pending" ? "Nothing waits for a decision" : `None is ${wanted}`,
            "What you may neither decide nor asked for yourself is not shown.",
          );
        if (wanted === "pending")
          return h(
            "ol",
            { class: "approvals" },
            approvals.map((one) => h("li", {}, card(one, fill, true))),
          );
        return table(
          "Approvals",
          [
            ["Wish", (one) => h("a", { href: link(["approvals", one.id]) }, short(wish(one), 80)), "wide"],
            ["State", (one) => state(one.state)],
            ["By", (one) => one.requester],
            ["Decided by", (one) => one.decided_by || "–"],
            ["Reason", (one) => one.reason || "–"],
            ["When", (one) => when(one.decided_at || one.created_at)],
          ],
          approvals.toReversed(),
        );
      },
      view.signal,
    );
  view.live((event) => event.event.startsWith("approval."), fill);
  await fill();
}

async function showOne(view) {
  const [id] = view.rest;
  const body = h("div", {});
  view.main.replaceChildren(body);
  const fill = () =>
    fillIn(
      body,
      async () => {
        const approval = await api.get(`/v1/approvals/${encodeURIComponent(id)}`, null, view.signal);
        return [
          crumbs([["Approvals", link("approvals")], [short(wish(approval), 50)]]),
          head("Approval", null),
          card(approval, fill, false),
        ];
      },
      view.signal,
    );
  view.live((event) => event.event.startsWith("approval."), fill);
  await fill();
}

function card(approval, again, isShort) {
  const isOpen = approval.state === "pending";
  const target = approval.act.from || approval.act.path || approval.path;
  return h(
    "article",
    { class: "approval", "aria-label": wish(approval) },
    h(
      "header",
      { class: "row between" },
      h("h2", {}, h("strong", {}, approval.requester), ` wants to ${wish(approval)}`),
      state(approval.state),
    ),
    h(
      "p",
      { class: "fine" },
      "asked ",
      when(approval.created_at),
      isOpen && [" · ends ", when(approval.expires_at)],
      isShort && [" · ", h("a", { href: link(["approvals", approval.id]) }, "open")],
    ),
    approval.act.reason && h("p", { class: "note warn" }, approval.act.reason),
    approval.diff ? section("What would change", {}, diff(approval.diff)) : null,
    !isShort &&
      facts([
        ["Gate", code(approval.gate)],
        ["Path", target.startsWith("/") && target !== "/" ? h("a", { href: fileLink(target) }, target) : target],
        ["Decided by", approval.decided_by],
        ["Reason", approval.reason],
        ["Decided", approval.decided_at && when(approval.decided_at)],
      ]),
    isOpen &&
      h(
        "div",
        { class: "actions" },
        button("Grant", () => decide(approval, "grant", again), {
          class: "primary",
          "aria-label": `Grant: ${wish(approval)}`,
        }),
        button("Deny", () => decide(approval, "deny", again), {
          class: "danger",
          "aria-label": `Deny: ${wish(approval)}`,
        }),
      ),
  );
}

async function decide(approval, decision, again) {
  const isGrant = decision === "grant";
  const reason = await confirm(isGrant ? "Grant this?" : "Deny this?", {
    text: `${approval.requester} wants to ${wish(approval)}.${isGrant && approval.act.act !== "request" ? " It happens at once." : ""}`,
    yes: isGrant ? "Grant" : "Deny",
    danger: !isGrant,
    reason: "Reason, for the record",
  });
  if (reason === null) return;
  await api.post(`/v1/approvals/${encodeURIComponent(approval.id)}`, { decision, reason: reason || undefined });
  toast(!isGrant ? "Denied" : approval.act.act === "request" ? "Granted" : "Granted, and done", "good");
  await again();
}

// Access: who there is, what each may do, and which rule decides. Nothing is allowed by default, and a deny wins.

import { api } from "./api.js";
import { count, h, link, when } from "./dom.js";
import {
  badge,
  button,
  choice,
  code,
  confirm,
  empty,
  field,
  fillIn,
  head,
  section,
  state,
  table,
  tabs,
  toast,
} from "./ui.js";

const VERBS = ["read", "list", "write", "delete", "approve", "call", "dispatch", "admin"];
const TARGETS = [
  ["path", "path"],
  ["tool", "tool"],
  ["agent", "agent"],
];
const TABS = { explain, grants, principals, tokens, gates };

export async function show(view) {
  const tab = Object.hasOwn(TABS, view.rest[0]) ? view.rest[0] : "explain";
  const body = h("div", {});
  view.main.replaceChildren(
    head("Access", "Nothing is allowed by default, and a deny wins over every allow."),
    tabs(
      "Of access",
      [
        ["why can…?", link("access")],
        ["grants", link(["access", "grants"])],
        ["principals", link(["access", "principals"])],
        ["tokens", link(["access", "tokens"])],
        ["gates", link(["access", "gates"])],
      ],
      tab === "explain" ? "why can…?" : tab,
    ),
    body,
  );
  await fillIn(body, () => TABS[tab](view), view.signal);
}

async function explain(view) {
  const { value: principals } = await api.tolerant(api.all("/v1/principals", {}, 2000, view.signal));
  const names = h(
    "datalist",
    { id: "principals" },
    (principals || []).map((one) => h("option", { value: one.id })),
  );
  const who = h("input", {
    type: "text",
    value: view.query.get("principal") || view.who.principal,
    list: "principals",
    required: true,
    spellcheck: "false",
  });
  const verb = choice(VERBS, view.query.get("verb") || "read");
  const kind = choice(TARGETS, view.query.get("kind") || "path");
  const what = h("input", {
    type: "text",
    value: view.query.get("what") || "",
    placeholder: "/docs/plan.md",
    required: true,
    spellcheck: "false",
  });
  const said = h("div", { "aria-live": "polite" });
  const form = h(
    "form",
    {
      class: "row",
      "aria-label": "Why can somebody do something?",
      onsubmit: (event) => {
        event.preventDefault();
        const next = link("access", {
          principal: who.value.trim(),
          verb: verb.value,
          kind: kind.value,
          what: what.value.trim(),
        });
        if (next === location.hash) view.again();
        else location.hash = next;
      },
    },
    names,
    field("Why can", who),
    field("Verb", verb),
    field("A", kind),
    field("Named", what),
    h("div", { class: "field end" }, h("button", { type: "submit", class: "primary" }, "Explain")),
  );
  if (view.query.get("what")) {
    await fillIn(
      said,
      async () => {
        const query = { principal: who.value, verb: verb.value, [kind.value]: what.value };
        return verdict(await api.get("/v1/grants/explain", query, view.signal));
      },
      view.signal,
    );
  }
  return [form, said];
}

function verdict(reply) {
  return h(
    "div",
    { class: ["verdict", reply.allowed ? "good" : "bad"] },
    h(
      "p",
      {},
      badge(reply.allowed ? "good" : "bad", reply.allowed ? "allowed" : "denied"),
      " ",
      h("strong", {}, reply.principal),
      ` ${reply.allowed ? "may" : "may not"} ${reply.verb} `,
      code(reply.target),
    ),
    h("p", {}, reply.sentence),
    h(
      "p",
      { class: "fine" },
      "Decided by ",
      code(reply.rule),
      reply.gate && [", and then the gate ", code(reply.gate), " wants an approval"],
    ),
  );
}

async function grants(view) {
  const all = await api.all("/v1/grants", {}, 5000, view.signal);
  if (!all.length) return empty("No grants", "Nobody but who manages the home may do anything.");
  const remove = (grant) =>
    button(
      "Remove",
      async () => {
        if (
          !(await confirm("Remove this grant?", {
            text: `${grant.to}: ${grant.effect} ${grant.verbs.join(", ")} on ${grant.patterns.join(", ")}. It holds at once.`,
            yes: "Remove",
            danger: true,
          }))
        )
          return;
        await api.remove(`/v1/grants/${encodeURIComponent(grant.id)}`);
        toast("Removed", "good");
        view.again();
      },
      { "aria-label": `Remove the grant ${grant.id}` },
    );
  return table(
    "Grants",
    [
      ["To", (grant) => grant.to],
      ["Effect", (grant) => state(grant.effect)],
      ["Verbs", (grant) => grant.verbs.join(", ")],
      [
        "On",
        (grant) => [
          h("span", { class: "fine" }, `${grant.target} `),
          grant.patterns.map((pattern, at) => [at > 0 && ", ", code(pattern)]),
        ],
        "wide",
      ],
      ["If", (grant) => (grant.arguments ? code(JSON.stringify(grant.arguments)) : "–")],
      ["Note", (grant) => grant.note || "–"],
      ["", (grant) => view.who.admin && remove(grant)],
    ],
    all,
  );
}

async function principals(view) {
  const all = await api.all("/v1/principals", {}, 5000, view.signal);
  if (!all.length) return empty("No principals");
  return table(
    "Principals",
    [
      ["Principal", (one) => one.id],
      ["Kind", (one) => one.kind],
      ["Name", (one) => one.name || "–"],
      ["Groups", (one) => one.groups.join(", ") || "–", "wide"],
      ["", (one) => h("a", { href: link("audit", { principal: one.id }) }, "its acts")],
    ],
    all,
  );
}

async function tokens(view) {
  const all = await api.all("/v1/tokens", {}, 5000, view.signal);
  const alive = all.filter((one) => !one.revoked_at);
  if (!alive.length) return empty("No tokens");
  const revoke = (one) =>
    button(
      "Revoke",
      async () => {
        if (
          !(await confirm("Revoke this token?", {
            text: `${one.principal}${one.name ? ` (${one.name})` : ""} can't use it any more, at once.`,
            yes: "Revoke",
            danger: true,
          }))
        )
          return;
        await api.remove(`/v1/tokens/${encodeURIComponent(one.id)}`);
        toast("Revoked", "good");
        view.again();
      },
      { "aria-label": `Revoke the token ${one.id}` },
    );
  return [
    table(
      "Tokens",
      [
        ["Token", (one) => code(`wp_${one.id}_…`)],
        ["Of", (one) => one.principal],
        ["Name", (one) => one.name || "–"],
        ["Made", (one) => when(one.created_at)],
        ["Last used", (one) => (one.last_used_at ? when(one.last_used_at) : "never")],
        ["Ends", (one) => (one.expires_at ? when(one.expires_at) : "–")],
        ["", revoke],
      ],
      alive,
    ),
    all.length > alive.length &&
      h("p", { class: "fine" }, `${count(all.length - alive.length)} revoked ones are not shown.`),
  ];
}

async function gates(view) {
  const all = await api.all("/v1/gates", {}, 2000, view.signal);
  if (!all.length) return empty("No gates", "POST /v1/gates makes one: changes below it then wait for an approval.");
  return section(
    null,
    {},
    table(
      "Gates",
      [
        ["Below", (gate) => code(gate.pattern), "wide"],
        ["Verbs", (gate) => gate.verbs.join(", ")],
        ["Note", (gate) => gate.note || "–"],
        ["Id", (gate) => code(gate.id)],
      ],
      all,
    ),
  );
}

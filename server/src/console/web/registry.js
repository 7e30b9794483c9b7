// The registry: the agents and tools that work is routed to, what is wrong with how they describe themselves, and a place to
// try a wish on them.

import { api } from "./api.js";
import { count, h, link, percent, plural, short, usd, when } from "./dom.js";
import { agentLink } from "./flow.js";
import {
  badge,
  button,
  choice,
  code,
  empty,
  facts,
  field,
  fillIn,
  head,
  section,
  state,
  table,
  tabs,
  toast,
} from "./ui.js";

const TABS = { agents, tools, lint, confusion, route, decision };
const FAULTS = { duplicate: "bad", collision: "bad", dead: "bad", over_broad: "warn", undescribed: "warn" };

export async function show(view) {
  const tab = Object.hasOwn(TABS, view.rest[0]) ? view.rest[0] : "agents";
  const body = h("div", {});
  view.main.replaceChildren(
    head("Registry", "Who can be asked, and how well they can be told apart."),
    tabs(
      "Of the registry",
      [
        ["agents", link("registry")],
        ["tools", link(["registry", "tools"])],
        ["lint", link(["registry", "lint"])],
        ["confusion", link(["registry", "confusion"])],
        ["try a route", link(["registry", "route"])],
      ],
      { route: "try a route", decision: "" }[tab] ?? tab,
    ),
    body,
  );
  await fillIn(body, () => TABS[tab](view), view.signal);
}

async function agents(view) {
  const all = await api.all("/v1/agents", {}, 2000, view.signal);
  if (!all.length) return empty("No agents", "PUT /v1/agents/{id} takes one in by its card.");
  return table(
    "Agents",
    [
      ["Agent", (agent) => agentLink(agent.id)],
      ["Says of itself", (agent) => short(agent.description, 110), "wide"],
      [
        "Stands",
        (agent) =>
          agent.standing
            ? agent.standing.available
              ? badge("good", "available")
              : badge("warn", "not now", agent.standing.unavailable)
            : "–",
      ],
      ["Open", (agent) => agent.standing?.open_tasks ?? "–", "number"],
      ["Went well", (agent) => (agent.standing ? percent(agent.standing.success) : "–"), "number"],
      ["Price", (agent) => (agent.price?.usd_per_call ? usd(agent.price.usd_per_call) : "–"), "number"],
      ["Examples", (agent) => count(agent.examples?.length), "number"],
    ],
    all,
  );
}

async function tools(view) {
  const [all, servers] = await Promise.all([
    api.all("/v1/tools", {}, 5000, view.signal),
    api.tolerant(api.all("/v1/upstreams", {}, 1000, view.signal)),
  ]);
  return [
    servers.value?.length > 0 &&
      section(
        "Servers of tools",
        {},
        table(
          "Servers of tools",
          [
            ["Server", (server) => server.name],
            ["State", (server) => state(server.state)],
            ["In use", (server) => count(server.tools), "number"],
            ["Set aside", (server) => count(server.quarantined), "number"],
            ["Last error", (server) => short(server.last_error || "–", 90), "wide"],
          ],
          servers.value,
        ),
      ),
    section(
      "Tools",
      {},
      all.length
        ? table(
            "Tools",
            [
              ["Tool", (tool) => code(tool.id)],
              ["State", (tool) => state(tool.state)],
              ["Says of itself", (tool) => short(tool.description, 110), "wide"],
              ["Why not in use", (tool) => short(tool.reason || "–", 80)],
              ["Price", (tool) => (tool.usd_per_call ? usd(tool.usd_per_call) : "–"), "number"],
              ["Approved", (tool) => (tool.approved_at ? when(tool.approved_at) : "–")],
            ],
            all,
          )
        : empty("No tools of other servers", "They are named in waypost.toml, under [upstream]."),
    ),
  ];
}

async function lint(view) {
  const reply = await api.post("/v1/route/lint", undefined, view.signal);
  const summary = h(
    "p",
    { class: "fine" },
    `${plural(reply.entries, "entry", "entries")}, ${plural(reply.examples, "example")} tried`,
    reply.accuracy !== null && `, ${percent(reply.accuracy)} found their entry`,
  );
  if (!reply.findings.length)
    return [
      summary,
      empty("Nothing is wrong", "Every entry says what it is for, and none gets what is meant for another."),
    ];
  return [
    summary,
    h(
      "ol",
      { class: "findings" },
      reply.findings.map((finding) =>
        h(
          "li",
          { class: FAULTS[finding.fault] },
          h(
            "p",
            {},
            badge(FAULTS[finding.fault] || "", finding.fault.replace("_", " ")),
            " ",
            finding.entries.map((id, at) => [at > 0 && " and ", h("strong", {}, id)]),
          ),
          h("p", {}, finding.detail),
          finding.examples.length > 0 &&
            h(
              "details",
              {},
              h("summary", {}, plural(finding.examples.length, "example")),
              h(
                "ul",
                { class: "plain" },
                finding.examples.map((text) => h("li", {}, text)),
              ),
            ),
        ),
      ),
    ),
  ];
}

async function confusion(view) {
  const reply = await api.post("/v1/route/lint", undefined, view.signal);
  if (!reply.confusion.length)
    return empty(
      "Nothing to compare",
      "Entries need examples: each is tried without itself, and goes to its own entry or astray.",
    );
  const names = [...new Set(reply.confusion.flatMap((one) => [one.from, one.to]))].sort();
  const cells = new Map(reply.confusion.map((one) => [`${one.from}\n${one.to}`, one]));
  const cell = (from, to) => {
    const one = cells.get(`${from}\n${to}`);
    if (!one) return h("td", { class: "zero" }, h("span", { class: "unseen" }, "0"));
    const level = Math.max(1, Math.min(5, Math.ceil(one.share * 5)));
    return h(
      "td",
      {
        class: [from === to ? "right" : "wrong", `l${level}`],
        title: `${one.count} meant for ${from} went to ${to}: ${percent(one.share)}`,
      },
      String(one.count),
    );
  };
  const letters = (at) =>
    at < 26
      ? String.fromCharCode(65 + at)
      : `${String.fromCharCode(64 + Math.floor(at / 26))}${String.fromCharCode(65 + (at % 26))}`;
  return [
    h(
      "p",
      { class: "fine" },
      `Each example is tried without itself. A row is where it was meant to go, a column where it went. ${reply.accuracy === null ? "" : `${percent(reply.accuracy)} went right.`}`,
    ),
    h(
      "div",
      { class: "table-box", tabindex: "0", role: "region", "aria-label": "Confusion matrix" },
      h(
        "table",
        { class: "matrix" },
        h("caption", { class: "unseen" }, "Confusion matrix"),
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            h("th", { scope: "col" }, "Meant for"),
            names.map((name, at) =>
              h(
                "th",
                { scope: "col", title: name },
                h("span", { "aria-hidden": "true" }, letters(at)),
                h("span", { class: "unseen" }, name),
              ),
            ),
          ),
        ),
        h(
          "tbody",
          {},
          names.map((from, at) =>
            h(
              "tr",
              {},
              h("th", { scope: "row" }, h("span", { class: "letter", "aria-hidden": "true" }, letters(at)), from),
              names.map((to) => cell(from, to)),
            ),
          ),
        ),
      ),
    ),
  ];
}

async function route(view) {
  const box = h("input", {
    type: "text",
    id: "intent",
    required: true,
    value: view.query.get("intent") || "",
    placeholder: "What should be done?",
    autocomplete: "off",
  });
  const kind = choice(
    [
      ["", "agents and tools"],
      ["agent", "agents"],
      ["tool", "tools"],
    ],
    view.query.get("kind") || "",
  );
  const found = h("div", { "aria-live": "polite" });
  const form = h(
    "form",
    {
      class: "row",
      onsubmit: (event) => {
        event.preventDefault();
        const next = link(["registry", "route"], { intent: box.value.trim(), kind: kind.value });
        if (next === location.hash) view.again();
        else location.hash = next;
      },
    },
    field("Wish", box),
    field("Among", kind),
    h("div", { class: "field end" }, h("button", { type: "submit", class: "primary" }, "Route")),
  );
  const intent = view.query.get("intent");
  if (intent) {
    await fillIn(
      found,
      async () => {
        const kinds = kind.value ? [kind.value] : undefined;
        return routed(await api.post("/v1/route", { intent, kinds, limit: 8, explain: true }, view.signal), view);
      },
      view.signal,
    );
  }
  return [form, found];
}

const OUTCOMES = { routed: "good", ambiguous: "warn", none: "" };

function routed(reply, view) {
  const candidates = reply.candidates.map((one) => ({ ...one, isChosen: one.id === reply.decision?.id }));
  return [
    h(
      "p",
      { class: "verdict" },
      badge(OUTCOMES[reply.outcome], reply.outcome),
      " ",
      reply.decision
        ? [h("strong", {}, reply.decision.id), `, ${percent(reply.decision.confidence)} sure`]
        : reply.question || "Nobody here is for that.",
      h(
        "span",
        { class: "fine" },
        ` at most ${percent(reply.max_error)} of what is routed may go wrong · ${reply.took_ms.toFixed(1)} ms`,
      ),
    ),
    reply.degraded.map((text) => h("p", { class: "note warn" }, `could not run: ${text}`)),
    candidates.length > 0 &&
      table(
        "Candidates",
        [
          ["Candidate", (one) => (one.kind === "agent" ? agentLink(one.id) : code(one.id))],
          [
            "Sure",
            (one) =>
              h(
                "span",
                { class: "meter-row" },
                h("meter", { min: "0", max: "1", value: one.confidence, "aria-label": `${one.id}: confidence` }),
                percent(one.confidence),
              ),
            "number",
          ],
          ["Why", (one) => one.why, "wide"],
          ["Shared words", (one) => one.figures?.shared_terms.join(", ") || "–"],
          ["Cosine", (one) => one.figures?.cosine?.toFixed(2) ?? "–", "number"],
          [
            "",
            (one) =>
              reply.decision_id &&
              button(
                "Right one",
                async () => {
                  await api.post(
                    "/v1/route/feedback",
                    { decision_id: reply.decision_id, right: one.id },
                    view.signal,
                  );
                  toast("Learned", "good");
                },
                { "aria-label": `${one.id} was the right one` },
              ),
          ],
        ],
        candidates,
        { rowClass: (one) => (one.isChosen ? "good" : "") },
      ),
  ];
}

async function decision(view) {
  const id = view.rest[1];
  const reply = await api.post("/v1/route/explain", { decision_id: id }, view.signal);
  return [
    section(
      `Decision ${id}`,
      {},
      facts([
        [
          "Taken again",
          reply.same === undefined ? null : reply.same ? badge("good", "the same") : badge("warn", "another"),
        ],
        ["Needs", `${percent(reply.threshold)} confidence`],
      ]),
      routed({ ...reply, decision_id: null }, view),
    ),
  ];
}

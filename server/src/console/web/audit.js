// The audit log: who did what and what was refused, the newest first, and whether its chain holds.

import { api } from "./api.js";
import { count, h, link, short, when } from "./dom.js";
import { button, choice, code, empty, field, fillIn, head, state, table } from "./ui.js";

const FILTERS = ["principal", "action", "path", "outcome", "trace", "since"];
const PAGE = 100;

export async function show(view) {
  const chain = h("div", { class: "chain", role: "status" });
  const list = h("div", {});
  const inputs = {};
  const text = (name, words, hint) =>
    field(
      words,
      (inputs[name] = h("input", {
        type: "text",
        value: view.query.get(name) || "",
        placeholder: hint,
        spellcheck: "false",
        autocomplete: "off",
      })),
    );
  inputs.outcome = choice([["", "any"], "allowed", "denied", "pending", "failed"], view.query.get("outcome") || "");
  const filter = h(
    "form",
    {
      class: "filters row",
      "aria-label": "Filters",
      onsubmit: (event) => {
        event.preventDefault();
        location.hash = link("audit", Object.fromEntries(FILTERS.map((name) => [name, inputs[name].value.trim()])));
      },
    },
    text("principal", "Who", "agent:writer"),
    text("action", "Action", "file. or search"),
    text("path", "Path", "/docs"),
    field("Outcome", inputs.outcome),
    text("trace", "Trace", ""),
    text("since", "Since", "2026-01-31T00:00:00Z"),
    h("div", { class: "field end" }, h("button", { type: "submit", class: "primary" }, "Filter")),
  );
  view.main.replaceChildren(
    head(
      "Audit",
      "Every act and every refusal, in one chain of hashes.",
      button("Check the chain", () => check(chain, view)),
    ),
    chain,
    filter,
    list,
  );
  const query = Object.fromEntries(FILTERS.map((name) => [name, view.query.get(name)]));
  await fillIn(list, () => rows(query, view), view.signal);
  await check(chain, view);
}

async function check(place, view) {
  place.replaceChildren(h("p", { class: "note" }, "The chain is walked…"));
  const { value, refused } = await api.tolerant(api.get("/v1/audit/verify", null, view.signal));
  if (refused) return place.replaceChildren();
  place.replaceChildren(
    value.valid
      ? h("p", { class: "note good" }, `The chain holds over ${count(value.records)} records.`)
      : h("p", { class: "note bad" }, `The chain breaks at record ${value.break.number}: ${value.break.what}.`),
  );
  return undefined;
}

async function rows(query, view) {
  const first = await page(query, view);
  if (!first.items.length) return empty("No records", "None fits these filters.");
  const more = h("div", {});
  const box = h("div", {}, grid(first.items), more);
  let cursor = first.next_cursor;
  const older = button("Older", async () => {
    const next = await page({ ...query, cursor }, view);
    cursor = next.next_cursor;
    more.before(grid(next.items));
    if (!cursor) more.remove();
  });
  if (cursor) more.append(older);
  return box;
}

const page = (query, view) => api.get("/v1/audit", { ...query, order: "newest", limit: PAGE }, view.signal);

function grid(items) {
  const by = (name, value, words) =>
    h("a", { href: link("audit", { [name]: value }), class: "plain-link" }, words ?? value);
  return table(
    "Records of the audit log, newest first",
    [
      ["No.", (row) => count(row.number), "number"],
      ["When", (row) => when(row.at)],
      ["Who", (row) => by("principal", row.principal)],
      ["Action", (row) => by("action", row.action)],
      ["On", (row) => h("span", { title: row.path }, short(row.path, 60)), "wide"],
      ["Outcome", (row) => state(row.outcome)],
      ["Decided by", (row) => h("span", { title: row.rule }, code(short(row.rule, 18)))],
      ["Trace", (row) => (row.trace ? by("trace", row.trace, short(row.trace, 12)) : "–")],
    ],
    items,
    { rowClass: (row) => (row.outcome === "denied" ? "bad" : "") },
  );
}

// Searching and asking. Each hit and each quote opens its file, in the version and at the lines that it was cut from.

import { api } from "./api.js";
import { citationLink, whereWords } from "./cite.js";
import { count, h, link, percent, plural } from "./dom.js";
import { badge, button, choice, empty, field, fillIn, head, section } from "./ui.js";
import { marked } from "./text.js";

const MODES = [
  ["hybrid", "Words and meaning"],
  ["lexical", "Words alone"],
  ["semantic", "Meaning alone"],
];

export async function show(view) {
  const text = view.query.get("q") || "";
  const isAsk = view.query.get("do") === "ask";
  const found = h("div", { "aria-live": "polite", class: "found" });
  const box = h("input", {
    type: "search",
    id: "q",
    value: text,
    autocomplete: "off",
    required: true,
    "aria-label": "Words or a question",
  });
  const mode = choice(MODES, view.query.get("mode") || "hybrid");
  const where = h("input", {
    type: "text",
    value: view.query.get("in") || "",
    placeholder: "/docs/guides",
    spellcheck: "false",
  });
  const trust = h("input", { type: "checkbox", id: "trust" });
  trust.checked = view.query.get("trust") === "approved";
  const go = (act) => {
    if (!box.value.trim()) return box.focus();
    const next = link("search", {
      q: box.value.trim(),
      do: act,
      mode: mode.value === "hybrid" ? "" : mode.value,
      in: where.value.trim(),
      trust: trust.checked ? "approved" : "",
    });
    if (next === location.hash) view.again();
    else location.hash = next;
    return undefined;
  };
  view.main.replaceChildren(
    head(
      "Search & ask",
      "Search gives passages; a question gives sentences with their sources, or says that there are none.",
    ),
    h(
      "form",
      {
        class: "ask",
        role: "search",
        "aria-label": "Search and ask",
        onsubmit: (event) => {
          event.preventDefault();
          go(isAsk ? "ask" : "");
        },
      },
      h(
        "div",
        { class: "ask-row" },
        box,
        h(
          "button",
          {
            type: "submit",
            class: isAsk ? "" : "primary",
            onclick: (event) => {
              event.preventDefault();
              go("");
            },
          },
          "Search",
        ),
        h("button", { type: "button", id: "ask", class: isAsk ? "primary" : "", onclick: () => go("ask") }, "Ask"),
      ),
      h(
        "details",
        { open: Boolean(where.value || trust.checked || mode.value !== "hybrid") },
        h("summary", {}, "Where and how"),
        h(
          "div",
          { class: "row" },
          field("By", mode),
          field("Below a path", where),
          h("div", { class: "check" }, trust, h("label", { for: "trust" }, "Only what passed a gate")),
        ),
      ),
    ),
    found,
  );
  if (!text) {
    box.focus();
    found.replaceChildren(
      empty(
        "What are you looking for?",
        "Words in quotes are a phrase, -word leaves something out. A whole question can be asked.",
      ),
    );
    return;
  }
  const request = {
    mode: mode.value,
    path_prefix: where.value.trim() || undefined,
    trust: trust.checked ? "approved" : undefined,
  };
  await fillIn(
    found,
    async () =>
      isAsk
        ? answer(await api.post("/v1/ask", { question: text, ...request }, view.signal), view)
        : hits(await api.post("/v1/search", { query: text, limit: 20, ...request }, view.signal), text),
    view.signal,
  );
}

function whereOf(citation) {
  const words = whereWords(citation, citation.lines);
  return words && ` · ${words}`;
}

function notes(index, took, many) {
  const worries = [
    ...index.degraded.map((one) => `${one.stage}: ${one.reason}`),
    index.pending_files > 0 && `${plural(index.pending_files, "file")} on the way into the index`,
  ].filter(Boolean);
  return [
    h("p", { class: "fine" }, `${many} in ${took.toFixed(1)} ms`),
    worries.map((text) => h("p", { class: "note warn" }, text)),
  ];
}

function hits(reply, text) {
  const { results, index, took_ms: took } = reply;
  if (!results.length) {
    return [
      notes(index, took, "No hits"),
      empty("Nothing found", "Among the files that this token may read, none has these words or says the like."),
      h("p", {}, h("a", { href: link("search", { q: text, do: "ask" }) }, "Ask it as a question")),
    ];
  }
  const hit = (one) =>
    h(
      "li",
      { class: "hit" },
      citationLink(one.citation, { class: "hit-title" }, one.title || one.citation.path.split("/").pop()),
      h(
        "p",
        { class: "fine path" },
        one.citation.path,
        whereOf(one.citation),
        one.citation.headings.length > 0 && ` · ${one.citation.headings.join(" › ")}`,
      ),
      h("p", { class: "snippet" }, marked(one.snippet, one.highlights)),
      one.copies?.length > 0 &&
        h("p", { class: "fine" }, `the same text also in ${one.copies.slice(0, 3).join(", ")}`),
    );
  return [notes(index, took, plural(results.length, "hit")), h("ol", { class: "hits" }, results.map(hit))];
}

function answer(reply, view) {
  const cited = new Map(reply.citations.map((citation) => [String(citation.n), citation]));
  const words = reply.answer.split(/(\[\d+\])/).map((part) => {
    const citation = cited.get(part.slice(1, -1));
    return part.startsWith("[") && citation
      ? citationLink(
          citation,
          { class: "mark", "aria-label": `Source ${citation.n}: ${citation.path}` },
          String(citation.n),
        )
      : part;
  });
  const checks = h("div", {});
  const check = button("Check the quotes", async () => {
    const plain = reply.citations.map(({ n, ...citation }) => citation);
    const { results: verdicts } = await api.post("/v1/citations/verify", { citations: plain }, view.signal);
    checks.replaceChildren(
      h(
        "p",
        { class: "note good" },
        `${count(verdicts.filter((one) => one.valid).length)} of ${plural(verdicts.length, "quote")} hold, byte for byte.`,
      ),
    );
  });
  return [
    section(
      reply.abstained ? "No answer" : "Answer",
      {
        class: "answer",
        aside:
          !reply.abstained &&
          badge("info", `${percent(reply.confidence)} sure`, "that the quotes answer the question"),
      },
      h("p", { class: ["answer-text", reply.abstained ? "abstained" : ""] }, words),
      notes(reply.index, reply.took_ms, `by ${reply.generator},`),
    ),
    reply.citations.length > 0 &&
      section(
        "Sources",
        { aside: check },
        checks,
        h(
          "ol",
          { class: "hits" },
          reply.citations.map((citation) =>
            h(
              "li",
              { class: "hit" },
              citationLink(citation, { class: "hit-title" }, `${citation.n}. ${citation.path.split("/").pop()}`),
              h("p", { class: "fine path" }, citation.path, whereOf(citation)),
              h("blockquote", {}, citation.quote),
            ),
          ),
        ),
      ),
  ];
}

// What pages are put together from. Each function gives nodes; what is asked of the server is asked by the pages.

import { Refusal } from "./api.js";
import { h, swap } from "./dom.js";

/** A page's head: its one `h1`, a line about it, and what can be done. */
export function head(title, lead, ...actions) {
  return h(
    "header",
    { class: "page-head" },
    h("div", {}, h("h1", { tabindex: "-1" }, title), lead && h("p", { class: "lead" }, lead)),
    actions.length > 0 && h("div", { class: "actions" }, actions),
  );
}

/** A part of a page, with its own heading. */
export function section(title, props, ...children) {
  const { aside, ...rest } = props || {};
  return h(
    "section",
    { ...rest, class: ["part", rest.class] },
    title && h("div", { class: "part-head" }, h("h2", {}, title), aside),
    children,
  );
}

export function badge(kind, text, title) {
  return h("span", { class: ["badge", kind], title }, text);
}

const KINDS = {
  good: ["done", "granted", "delivered", "allowed", "ready", "active", "indexed", "valid", "approved", "allow"],
  warn: [
    "pending",
    "waiting",
    "review",
    "parked",
    "stale",
    "words_only",
    "connecting",
    "quarantined",
    "changed",
    "new",
    "paused",
  ],
  bad: ["failed", "denied", "dead", "down", "expired", "ended", "deny", "invalid", "skipped", "gone"],
  info: ["in-progress", "open"],
};

/** A word of the API in its colour. */
export function state(word) {
  const kind = Object.keys(KINDS).find((kind) => KINDS[kind].includes(word)) || "";
  return badge(kind, String(word).replaceAll("_", " "));
}

/** Columns are `[heading, cell(row), class]`; a narrow screen shows the headings beside the cells. */
export function table(caption, columns, rows, props) {
  const heads = columns.map(([heading, , kind]) =>
    h("th", { scope: "col", class: kind }, heading || h("span", { class: "unseen" }, "What can be done")),
  );
  const line = (row) =>
    h(
      "tr",
      { class: props?.rowClass?.(row) },
      columns.map(([heading, cell, kind]) => h("td", { class: kind, "data-label": heading }, cell(row))),
    );
  return h(
    "div",
    { class: "table-box" },
    h(
      "table",
      { class: props?.class },
      h("caption", { class: "unseen" }, caption),
      h("thead", {}, h("tr", {}, heads)),
      h("tbody", {}, rows.map(line)),
    ),
  );
}

export function facts(pairs) {
  const shown = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== false);
  return h(
    "dl",
    { class: "facts" },
    shown.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
  );
}

export function code(text) {
  return h("code", {}, text);
}

/** Text as it is; the box can be reached by the keyboard, for it may have to be scrolled. */
export function pre(text, label) {
  return h("pre", { tabindex: "0", role: "region", "aria-label": label || "Text" }, text);
}

export function empty(title, hint) {
  return h("div", { class: "empty" }, h("p", { class: "empty-title" }, title), hint && h("p", {}, hint));
}

/** A refusal in words that help. */
export function problem(error, again) {
  const isRefusal = error instanceof Refusal;
  const [title, text] = !isRefusal
    ? ["This page has a fault", error.message]
    : error.status === 403
      ? ["Not yours to see", "This token may not look at this. Somebody who manages the home can grant it."]
      : error.status === 404
        ? ["Nothing here", "It is not there, or this token may not see it: both answer alike."]
        : error.status === 0
          ? ["The server can't be reached", "The page tries again when you do."]
          : ["That did not work", error.message];
  const detail =
    isRefusal && error.status === 403 ? error.message : isRefusal && error.status !== 404 ? error.hint : "";
  if (!isRefusal) console.error(error);
  return h(
    "div",
    { class: ["empty", error.status === 403 || error.status === 404 ? "" : "trouble"], role: "status" },
    h("p", { class: "empty-title" }, title),
    h("p", {}, text),
    detail && h("p", { class: "fine" }, detail),
    again && h("p", {}, button("Try again", again)),
  );
}

export function loading(rows = 3) {
  const bars = Array.from({ length: rows }, () => h("div", { class: "bar" }));
  return h("div", { class: "loading", role: "status" }, h("span", { class: "unseen" }, "Loading"), bars);
}

/** A button; while what it begins is under way it can't be pressed again. */
export function button(label, act, props) {
  const node = h(
    "button",
    {
      type: "button",
      ...props,
      onclick: async (event) => {
        node.disabled = true;
        try {
          await act(event);
        } catch (error) {
          if (error.name !== "AbortError") toast(error.message + (error.hint ? `. ${error.hint}` : ""), "bad");
        } finally {
          node.disabled = false;
        }
      },
    },
    label,
  );
  return node;
}

export function field(label, control, hint) {
  control.id ||= `f-${label.toLowerCase().replace(/[^a-z]+/g, "-")}`;
  return h(
    "div",
    { class: "field" },
    h("label", { for: control.id }, label),
    control,
    hint && h("p", { class: "fine" }, hint),
  );
}

/** Options are words or `[value, words]`. */
export function choice(options, value, props) {
  const pairs = options.map((option) => [].concat(option, option).slice(0, 2));
  const node = h(
    "select",
    props,
    pairs.map(([key, words]) => h("option", { value: key }, words)),
  );
  node.value = value ?? pairs[0]?.[0] ?? "";
  return node;
}

/** Ways through one page: `[words, address, how many]`. */
export function tabs(label, items, current) {
  return h(
    "nav",
    { class: "tabs", "aria-label": label },
    items
      .filter(Boolean)
      .map(([words, href, many]) =>
        h(
          "a",
          { href, "aria-current": words === current ? "page" : null },
          words.charAt(0).toUpperCase() + words.slice(1),
          many !== undefined && h("span", { class: "many" }, many),
        ),
      ),
  );
}

/** Where one is: `[words, address]`; the last one is the page itself. */
export function crumbs(items) {
  return h(
    "nav",
    { class: "crumbs", "aria-label": "Path" },
    h(
      "ol",
      {},
      items.map(([words, href], place) =>
        h(
          "li",
          {},
          place === items.length - 1 ? h("span", { "aria-current": "page" }, words) : h("a", { href }, words),
        ),
      ),
    ),
  );
}

/** Says something that passes. */
export function toast(text, kind) {
  const place = document.getElementById("toasts");
  const node = h("p", { class: ["toast", kind] }, text);
  place?.append(node);
  setTimeout(() => node.remove(), 7000);
}

/** Asks before something is done; gives what was written, or null. */
export function confirm(title, { text, yes = "Do it", danger, reason } = {}) {
  return new Promise((settle) => {
    const words = reason && h("input", { type: "text", id: "confirm-reason", maxlength: "500" });
    const done = (answer) => {
      box.close();
      box.remove();
      settle(answer);
    };
    const box = h(
      "dialog",
      {
        "aria-labelledby": "confirm-title",
        oncancel: (event) => {
          event.preventDefault();
          done(null);
        },
      },
      h(
        "form",
        {
          onsubmit: (event) => {
            event.preventDefault();
            done(words ? words.value : "yes");
          },
        },
        h("h2", { id: "confirm-title" }, title),
        text && h("p", {}, text),
        words && field(reason, words),
        h(
          "div",
          { class: "actions" },
          h("button", { type: "button", onclick: () => done(null) }, "Cancel"),
          h("button", { type: "submit", class: danger ? "danger" : "primary" }, yes),
        ),
      ),
    );
    document.body.append(box);
    box.showModal();
  });
}

/** Fills a place by `make` and again whenever it is told to; what is refused is said in its place. */
export async function fillIn(place, make, signal) {
  if (!place.hasChildNodes()) place.replaceChildren(loading());
  try {
    const made = await make();
    if (!signal?.aborted) swap(place, made);
  } catch (error) {
    if (error.name === "AbortError" || signal?.aborted) return;
    swap(
      place,
      problem(error, () => fillIn(place, make, signal)),
    );
  }
}

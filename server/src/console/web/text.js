// Texts of others on the page: with marks, with numbered lines, as differences, or as Markdown that is built from nodes.
// Whatever a text holds, it ends in text nodes; a link in it is shown with its address and leads nowhere.

import { h } from "./dom.js";
import { markdown } from "./markdown.js";

const MAX_LINES = 5000;

/** A text with byte ranges of it marked. */
export function marked(text, ranges) {
  const bytes = new TextEncoder().encode(text);
  const words = new TextDecoder();
  const nodes = [];
  let at = 0;
  for (const [start, end] of ranges) {
    if (start < at || end > bytes.length) continue;
    nodes.push(words.decode(bytes.subarray(at, start)), h("mark", {}, words.decode(bytes.subarray(start, end))));
    at = end;
  }
  nodes.push(words.decode(bytes.subarray(at)));
  return nodes;
}

/**
 * Numbered lines; `range` (from 1, both ends) is marked, and words of `marks` stand before their lines. Gives the node and what
 * scrolls the mark into view. Of a long text the lines around the mark are shown.
 */
export function lines(text, range, marks = new Map()) {
  const all = text.split("\n");
  if (all.at(-1) === "") all.pop();
  const [first, last] = range || [0, -1];
  const start = Math.max(0, Math.min(first - MAX_LINES / 2, all.length - MAX_LINES));
  const shown = all.slice(start, start + MAX_LINES);
  const rows = shown.map((line, place) => {
    const number = start + place + 1;
    const isMarked = number >= first && number <= last;
    const row = h(
      "li",
      {
        class: isMarked ? "marked" : null,
        value: null,
        id: number === first ? "cited" : null,
        "aria-current": number === first ? "true" : null,
      },
      h("span", { class: "line-number", "aria-hidden": "true" }, String(number)),
      h("span", { class: "line" }, line || " "),
    );
    return marks.has(number) ? [h("li", { class: "place" }, marks.get(number)), row] : row;
  });
  const node = h(
    "div",
    { class: "lines", tabindex: "0", role: "region", "aria-label": "Contents" },
    h("ol", {}, rows),
    all.length > shown.length &&
      h("p", { class: "fine" }, `Lines ${start + 1} to ${start + shown.length} of ${all.length} are shown.`),
    first > all.length && h("p", { class: "fine" }, "The text has fewer lines than are cited."),
  );
  const reveal = () => node.querySelector("#cited")?.scrollIntoView({ block: "center" });
  return { node, reveal };
}

/** A unified diff. */
export function diff(text) {
  if (!text.trim()) return h("p", { class: "fine" }, "The two are the same.");
  const kind = (line) =>
    line.startsWith("+++") || line.startsWith("---")
      ? "file"
      : line.startsWith("@@")
        ? "hunk"
        : line.startsWith("+")
          ? "added"
          : line.startsWith("-")
            ? "removed"
            : "";
  const rows = text
    .replace(/\n$/, "")
    .split("\n")
    .slice(0, MAX_LINES)
    .map((line) => h("li", { class: kind(line) }, h("span", { class: "line" }, line || " ")));
  return h(
    "div",
    { class: "lines diff", tabindex: "0", role: "region", "aria-label": "Differences" },
    h("ol", {}, rows),
  );
}

/** Markdown for reading. */
export function reading(text) {
  return h("article", { class: "reading" }, markdown(text));
}

// A small reader of Markdown that builds nodes: headings, lists, quotes, tables, code, emphasis. HTML in it is text, pictures
// are named and not fetched, and a link shows its address and leads nowhere, for nobody knows who wrote it.

import { h } from "./dom.js";

const BLOCKS = 4000;

/** Nodes for a text. */
export function markdown(text) {
  const lines = text
    .replace(/\r\n?/g, "\n")
    .replace(/^---\n[\s\S]*?\n---\n/, "")
    .split("\n");
  const nodes = [];
  let at = 0;
  while (at < lines.length && nodes.length < BLOCKS) {
    const block = BLOCK.find(({ begins }) => begins.test(lines[at]));
    const { node, next } = block.read(lines, at);
    if (node) nodes.push(node);
    at = Math.max(next, at + 1);
  }
  return nodes;
}

function take(lines, at, test) {
  let next = at;
  while (next < lines.length && test(lines[next], next)) next += 1;
  return next;
}

/** In the order in which they are tried; the last one takes whatever is left. */
const BLOCK = [
  { begins: /^\s*$/, read: (_, at) => ({ node: null, next: at + 1 }) },
  { begins: /^\s*(```|~~~)/, read: fenced },
  { begins: /^#{1,6}\s/, read: heading },
  { begins: /^\s*([-*_])(\s*\1){2,}\s*$/, read: (_, at) => ({ node: h("hr"), next: at + 1 }) },
  { begins: /^\s*>/, read: quote },
  { begins: /^\s*([-*+]|\d+[.)])\s+/, read: list },
  { begins: /^\s*\|.*\|\s*$/, read: grid },
  { begins: /^/, read: paragraph },
];

function fenced(lines, at) {
  const fence = lines[at].trim().slice(0, 3);
  const next = take(lines, at + 1, (line) => !line.trim().startsWith(fence));
  return {
    node: h("pre", { tabindex: "0", role: "region", "aria-label": "Code" }, lines.slice(at + 1, next).join("\n")),
    next: next + 1,
  };
}

/** The page has its own `h1` and `h2`, so those of a text begin below. */
function heading(lines, at) {
  const [, marks, words] = /^(#{1,6})\s+(.*?)\s*#*$/.exec(lines[at]) || [null, "#", lines[at]];
  return { node: h(`h${Math.min(6, marks.length + 2)}`, {}, inline(words)), next: at + 1 };
}

function quote(lines, at) {
  const next = take(lines, at, (line) => /^\s*>/.test(line));
  return {
    node: h(
      "blockquote",
      {},
      markdown(
        lines
          .slice(at, next)
          .map((line) => line.replace(/^\s*>\s?/, ""))
          .join("\n"),
      ),
    ),
    next,
  };
}

function list(lines, at) {
  const item = /^(\s*)([-*+]|\d+[.)])\s+(.*)$/;
  const isOrdered = /^\s*\d/.test(lines[at]);
  const next = take(lines, at, (line) => item.test(line) || /^\s{2,}\S/.test(line));
  const items = [];
  for (const line of lines.slice(at, next)) {
    const found = item.exec(line);
    if (found) items.push({ depth: Math.min(4, Math.floor(found[1].length / 2)), words: found[3] });
    else if (items.length) items.at(-1).words += ` ${line.trim()}`;
  }
  return {
    node: h(
      isOrdered ? "ol" : "ul",
      {},
      items.map(({ depth, words }) => h("li", { class: depth ? `deep-${depth}` : null }, inline(words))),
    ),
    next,
  };
}

function grid(lines, at) {
  const next = take(lines, at, (line) => /^\s*\|.*\|\s*$/.test(line));
  const cells = (line) =>
    line
      .trim()
      .slice(1, -1)
      .split("|")
      .map((cell) => cell.trim());
  const rows = lines
    .slice(at, next)
    .filter((line) => !/^\s*\|[\s:|-]+\|\s*$/.test(line))
    .map(cells);
  const [first = [], ...rest] = rows;
  return {
    node: h(
      "div",
      { class: "table-box", tabindex: "0", role: "region", "aria-label": "Table" },
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            first.map((cell) => h("th", { scope: "col" }, inline(cell))),
          ),
        ),
        h(
          "tbody",
          {},
          rest.map((row) =>
            h(
              "tr",
              {},
              row.map((cell) => h("td", {}, inline(cell))),
            ),
          ),
        ),
      ),
    ),
    next,
  };
}

function paragraph(lines, at) {
  const next = take(
    lines,
    at,
    (line, place) => place === at || BLOCK.findIndex(({ begins }) => begins.test(line)) === BLOCK.length - 1,
  );
  return { node: h("p", {}, inline(lines.slice(at, next).join(" "))), next };
}

const SPANS = /(`+)(.+?)\1|(!?)\[([^\]]*)\]\(([^)\s]*)[^)]*\)|(\*\*|__)(?=\S)(.+?)\6|([*_])(?=\S)(.+?)\8/;

/** Words with emphasis, code and what was a link. */
function inline(text) {
  const nodes = [];
  let rest = text;
  while (rest) {
    const found = SPANS.exec(rest);
    if (!found) break;
    nodes.push(rest.slice(0, found.index));
    const [whole, ticks, codeText, isPicture, words, address, strong, strongText, , emText] = found;
    if (ticks) nodes.push(h("code", {}, codeText));
    else if (words !== undefined && address !== undefined) nodes.push(named(isPicture, words, address));
    else nodes.push(strong ? h("strong", {}, inline(strongText)) : h("em", {}, inline(emText)));
    rest = rest.slice(found.index + whole.length);
  }
  nodes.push(rest);
  return nodes;
}

function named(isPicture, words, address) {
  if (isPicture) return h("span", { class: "fine" }, `[picture: ${words || address}]`);
  return h(
    "span",
    { class: "dead-link", title: address },
    words || address,
    h("span", { class: "fine" }, ` (${address})`),
  );
}

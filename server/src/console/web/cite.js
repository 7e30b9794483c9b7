// Citations: where each of them stands, in words and as an address. The address says all of it, so that it can be kept, sent
// and loaded again.

import { fileLink, h } from "./dom.js";

/** What a place in a file may be called, as citations name it, with its words. */
const PLACES = [
  ["page", (number) => `page ${number}`],
  ["slide", (number) => `slide ${number}`],
  ["sheet", (name) => `sheet ${name}`],
  ["range", (cells) => cells],
  ["chapter", (title) => `chapter ${title}`],
  ["message", (number) => `message ${number}`],
  ["attachment", (name) => name],
  ["entry", (path) => `entry ${path}`],
];

function pick(read) {
  const pairs = PLACES.map(([name]) => [name, read(name)]);
  return Object.fromEntries(pairs.filter(([, value]) => value !== undefined && value !== null && value !== ""));
}

/** The place that an address names, such as `{page: "2"}`. */
export function placeIn(query) {
  return pick((name) => query.get(name));
}

/** Whether a part of a text has this place; the cells of a sheet are a part of it. */
export function isPlace(part, place) {
  return Object.entries(place).every(([name, value]) => name === "range" || String(part[name]) === value);
}

/** `sheet Stock, A1:B4`; nothing for files without such places. */
export function placeWords(place) {
  return PLACES.filter(([name]) => place[name])
    .map(([name, words]) => words(place[name]))
    .join(", ");
}

/** `page 2, lines 3–4`: what a person turns to first comes first. */
export function whereWords(place, lines) {
  const [first, last] = lines || [];
  const inLines = lines && (first === last ? `line ${first}` : `lines ${first}–${last}`);
  return [placeWords(place), inLines].filter(Boolean).join(", ");
}

/** The place that a citation names, opened at its lines. */
export function citationLink(citation, props, ...words) {
  const { version, lines } = citation;
  const query = { version, ...pick((name) => citation[name]), lines: lines?.join("-") };
  return h("a", { href: fileLink(citation.path, query), ...props }, words);
}

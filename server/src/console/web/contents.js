// What a file holds: its own bytes as text or as a picture. Where a place in it is cited, the text that the index reads out of
// it, for citations count in that one.

import { api } from "./api.js";
import { isPlace, placeIn, placeWords, whereWords } from "./cite.js";
import { apiPath, bytes, fileLink, h } from "./dom.js";
import { lines, reading } from "./text.js";
import { empty } from "./ui.js";

/** Larger files are shown by their beginning. */
const MAX_SHOWN = 2 << 20;
/** Pictures that hold nothing but a picture. An SVG is a document, and is shown as its text. */
const PICTURES = ["image/png", "image/jpeg", "image/gif", "image/webp"];
/** Text that people read otherwise than it is written. */
const WRITTEN = [
  "text/html",
  "text/rtf",
  "application/rtf",
  "application/pdf",
  "application/x-ipynb+json",
  "application/mbox",
  "message/rfc822",
];
/** A file that gives no text, or that is too large to be read. */
const NO_TEXT = [413, 415];

export async function contents(view, path) {
  const version = view.query.get("version");
  const range = lineRange(view.query.get("lines"));
  const place = placeIn(view.query);
  const isCited = Boolean(range) || Object.keys(place).length > 0;
  if (isCited || view.query.get("as") === "text") {
    const asked = api.get(`/v1/text/${apiPath(path)}`, { version }, view.signal);
    const { value, refused } = await api.tolerant(asked);
    if (value) return readOut(view, path, value, range, place);
    if (!NO_TEXT.includes(refused.status)) throw refused;
  }
  return asItIs(view, path, range);
}

/** The text that was read out of a file, at a place. */
function readOut(view, path, found, range, place) {
  const isCited = range || Object.keys(place).length > 0;
  const cited = range || (isCited && found.places.find((part) => isPlace(part, place))?.lines) || null;
  const where = whereWords(place, cited);
  const words = [found.mime_type, where && ` · cited: ${where}`];
  const marks = new Map(found.places.map((part) => [part.lines[0], placeWords(part)]));
  return [
    !found.verbatim &&
      h(
        "p",
        { class: "note", id: "read-out" },
        "Extracted text: this was read out of the file, and lines of citations count in it. ",
        h("a", { href: fileLink(path, { version: view.query.get("version") }) }, "Show the file itself"),
      ),
    found.notes.map((note) => h("p", { class: "fine" }, note)),
    textPart(view, words, found.text, { range: cited, marks, isMarkdown: found.kind === "markdown" }),
  ];
}

/** The bytes of a file, as far as they can be shown. */
async function asItIs(view, path, range) {
  const version = view.query.get("version");
  const { data, kind, isCut } = await read(path, version, view.signal);
  if (PICTURES.includes(kind)) return picture(data, kind, view.signal);
  const toText = h("p", {}, h("a", { href: fileLink(path, { version, as: "text" }) }, "Show the text in it"));
  const text = plain(data, isCut);
  if (text === null) {
    return [
      empty(
        "Nothing to show as it is",
        `${kind || "An unknown kind"}, ${bytes(data.length)}. It can be downloaded; nothing in it is run or drawn here.`,
      ),
      view.query.get("as") !== "text" && toText,
    ];
  }
  if (!text) return empty("An empty file");
  const where = whereWords({}, range);
  const words = [`${kind}, ${bytes(data.length)}`, isCut && " of a longer file", where && ` · cited: ${where}`];
  const isMarkdown = kind === "text/markdown" || /\.(md|markdown)$/i.test(path);
  return [WRITTEN.includes(kind) && toText, textPart(view, words, text, { range, isMarkdown })];
}

/** Numbered lines with a line of words about them; Markdown can be read as well. */
function textPart(view, words, text, { range, marks, isMarkdown }) {
  const source = lines(text, range, marks);
  const holder = h("div", {}, source.node);
  if (range) view.afterShow = source.reveal;
  const toggle =
    isMarkdown &&
    h(
      "button",
      {
        type: "button",
        "aria-pressed": "false",
        onclick: (event) => {
          const isReading = event.target.getAttribute("aria-pressed") !== "true";
          event.target.setAttribute("aria-pressed", String(isReading));
          holder.replaceChildren(isReading ? reading(text) : source.node);
        },
      },
      "Reading view",
    );
  return [h("div", { class: "row between" }, h("p", { class: "fine" }, words), toggle), holder];
}

async function read(path, version, signal) {
  const headers = { Range: `bytes=0-${MAX_SHOWN - 1}` };
  const response = await api
    .raw(`/v1/files/${apiPath(path)}`, { version }, headers, signal)
    // An empty file has no first byte.
    .catch((refused) =>
      refused.status === 416
        ? api.raw(`/v1/files/${apiPath(path)}`, { version }, {}, signal)
        : Promise.reject(refused),
    );
  const total = Number(response.headers.get("content-range")?.split("/")[1] || 0);
  const data = new Uint8Array(await response.arrayBuffer());
  return {
    data,
    kind: (response.headers.get("content-type") || "").split(";")[0].trim(),
    isCut: total > data.length,
  };
}

/** `3` or `3-9`, from 1. */
function lineRange(text) {
  const found = /^(\d+)(?:-(\d+))?$/.exec(text || "");
  return found ? [Number(found[1]), Number(found[2] || found[1])] : null;
}

/** Bytes as text, or null where they are none. */
function plain(data, isCut) {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(data, { stream: isCut });
    return text.includes("\0") ? null : text;
  } catch {
    return null;
  }
}

function picture(data, kind, signal) {
  const address = URL.createObjectURL(new Blob([data], { type: kind }));
  signal.addEventListener("abort", () => URL.revokeObjectURL(address));
  return h("img", { class: "picture", src: address, alt: "The picture in this file" });
}

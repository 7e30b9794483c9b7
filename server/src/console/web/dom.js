// Builds nodes and words numbers. Texts from files, agents and servers become text nodes: nothing here takes markup, and
// an address is one of ours or of something that the page has fetched itself.

const SVG = "http://www.w3.org/2000/svg";
const OWN = /^(#|\/(?!\/)|blob:)/;

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) {
      if (typeof value !== "function") throw new Error(`${name} is no function`);
      node.addEventListener(name.slice(2), value);
    } else if (name === "href" || name === "src" || name === "action") {
      if (!OWN.test(value)) throw new Error("an address of others is not linked");
      node.setAttribute(name, value);
    } else if (name === "class") {
      node.setAttribute("class", [].concat(value).filter(Boolean).join(" "));
    } else if (name === "value") {
      node.value = value;
    } else if (name === "css") {
      for (const [property, text] of Object.entries(value)) node.style.setProperty(property, text);
    } else {
      node.setAttribute(name, value === true ? "" : String(value));
    }
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** An element; what is no node among its children becomes text. */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** An element of a drawing. */
export function s(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

/** Puts nodes in the place of others, and leaves the focus where a reader had it. */
export function swap(place, ...nodes) {
  const active = document.activeElement;
  const had = active && place.contains(active) ? active : null;
  const key =
    had &&
    (had.id
      ? `#${CSS.escape(had.id)}`
      : had.getAttribute("href") && `[href="${CSS.escape(had.getAttribute("href"))}"]`);
  place.replaceChildren(...nodes.flat(Infinity).filter(Boolean));
  if (key) place.querySelector(key)?.focus({ preventScroll: true });
}

/** `#/files/docs/a.md?lines=1-2`: a place in the console. */
export function link(parts, query) {
  const path = [].concat(parts).map(encodeURIComponent).join("/");
  const pairs = Object.entries(query || {}).filter(
    ([, value]) => value !== undefined && value !== null && value !== "",
  );
  const search = pairs.length ? `?${new URLSearchParams(pairs)}` : "";
  return `#/${path}${search}`;
}

/** The place of a path such as `/docs/a.md`. */
export function fileLink(path, query) {
  return link(["files", ...path.split("/").filter(Boolean)], query);
}

/** A path as the API's addresses take it: `docs/a%20b.md`. */
export function apiPath(path) {
  return path.split("/").filter(Boolean).map(encodeURIComponent).join("/");
}

const COUNT = new Intl.NumberFormat("en");
const WHEN = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "medium" });

export function count(number) {
  return COUNT.format(number ?? 0);
}

export function plural(number, one, many) {
  return `${count(number)} ${number === 1 ? one : many || `${one}s`}`;
}

export function bytes(size) {
  if (size === undefined || size === null) return "";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${units[unit]}`;
}

export function percent(share, digits = 0) {
  return `${(100 * share).toFixed(digits)}%`;
}

/** Seconds as the two largest units: `3 min`, `2 h 5 min`. */
export function span(seconds) {
  seconds = Math.max(0, Math.round(seconds));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) {
    const minutes = Math.floor((seconds % 3600) / 60);
    return `${Math.floor(seconds / 3600)} h${minutes ? ` ${minutes} min` : ""}`;
  }
  const hours = Math.floor((seconds % 86400) / 3600);
  return `${Math.floor(seconds / 86400)} d${hours ? ` ${hours} h` : ""}`;
}

export function secondsSince(time) {
  return (Date.now() - Date.parse(time)) / 1000;
}

/** A time as people say it, with the exact one beside it. */
export function when(time) {
  if (!time) return null;
  const seconds = secondsSince(time);
  const words = seconds < -1 ? `in ${span(-seconds)}` : seconds < 5 ? "just now" : `${span(seconds)} ago`;
  return h("time", { datetime: time, title: date(time) }, words);
}

/** The exact time. */
export function date(time) {
  return WHEN.format(new Date(time));
}

/** Cuts a long text for a line. */
export function short(text, most = 90) {
  text = String(text ?? "")
    .replace(/\s+/g, " ")
    .trim();
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

/** A dollar amount that comes as a decimal text. */
export function usd(text) {
  const amount = Number(text ?? 0);
  return `$${amount.toFixed(amount !== 0 && amount < 0.1 ? 4 : 2)}`;
}

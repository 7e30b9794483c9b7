// Starts the console: signs in, listens, and brings up the page that the address names. A page is a module with `show(view)`;
// it fills `view.main` and may ask to be told of events.

import { Refusal, api, follow, isSignedIn, onSignedOut } from "./api.js";
import { PLACES, dress, frame, keys, signInPage } from "./shell.js";
import { head, loading, problem } from "./ui.js";

const PAGES = {
  overview: () => import("./overview.js"),
  agent: () => import("./agent.js"),
  search: () => import("./search.js"),
  files: () => import("./files.js"),
  tasks: () => import("./tasks.js"),
  traces: () => import("./traces.js"),
  webhooks: () => import("./webhooks.js"),
  approvals: () => import("./approvals.js"),
  audit: () => import("./audit.js"),
  registry: () => import("./registry.js"),
  access: () => import("./access.js"),
  index: () => import("./indexed.js"),
  usage: () => import("./usage.js"),
};
/** Pages that stand below another one in the list of places. */
const BELOW = { agent: "overview" };
/** Events that come close together bring up a page once, after so many milliseconds. */
const GATHER = 250;

let shell = null;
let who = null;
let endFollow = () => {};
let leave = new AbortController();
let listeners = [];
const recent = [];

/** What the address names: `{name, rest, query}`. */
function place() {
  const [path, search] = location.hash.replace(/^#\/?/, "").split("?");
  const decode = (part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  };
  const [name, ...rest] = path.split("/").filter(Boolean).map(decode);
  return { name: name || "overview", rest, query: new URLSearchParams(search || "") };
}

async function bringUp() {
  leave.abort();
  leave = new AbortController();
  listeners = [];
  const signal = leave.signal;
  const at = place();
  shell.at(BELOW[at.name] || at.name);
  shell.main.replaceChildren(loading(5));
  scrollTo(0, 0);
  const view = {
    ...at,
    who,
    signal,
    recent,
    main: shell.main,
    /** Calls back after events that `concerns` picks, gathered; the page is not brought up anew. */
    live: (concerns, then) => listeners.push({ concerns, then, timer: 0 }),
    count: shell.count,
    again: bringUp,
  };
  try {
    const load = Object.hasOwn(PAGES, at.name) ? PAGES[at.name] : null;
    if (!load) throw new Refusal(404, { detail: "there is no such page" });
    const page = await load();
    if (!signal.aborted) await page.show(view);
  } catch (error) {
    if (error.name === "AbortError" || signal.aborted) return;
    shell.main.replaceChildren(problem(error, bringUp));
  }
  if (signal.aborted) return;
  let heading = shell.main.querySelector("h1");
  if (!heading) {
    shell.main.prepend(head(at.rest.at(-1) || at.name));
    heading = shell.main.querySelector("h1");
  }
  document.title = `${heading.textContent} · Waypost`;
  // Somebody who is typing already goes on typing.
  const active = document.activeElement;
  const isBusy = active?.matches("input, select, textarea") || (shell.main.contains(active) && active !== shell.main);
  if (!isBusy) heading.focus({ preventScroll: true });
}

function heard(event) {
  recent.unshift(event);
  recent.length = Math.min(recent.length, 100);
  for (const listener of listeners) {
    if (listener.timer || !listener.concerns(event)) continue;
    listener.timer = setTimeout(() => {
      listener.timer = 0;
      if (listeners.includes(listener)) listener.then(event);
    }, GATHER);
  }
  if (event.event.startsWith("approval.")) countApprovals().catch(() => {});
}

async function countApprovals() {
  const { value } = await api.tolerant(api.all("/v1/approvals", { state: "pending" }, 1000));
  shell?.count("approvals", value ? value.length : 0);
}

async function start() {
  try {
    who = await api.get("/v1/session");
  } catch (error) {
    if (error.status === 401) ask("");
    else document.body.replaceChildren(problem(error, start));
    return;
  }
  shell = frame(who, signOut);
  endFollow();
  endFollow = follow(heard, (word) => shell?.live(word));
  bringUp();
  countApprovals().catch(() => {});
}

async function signOut() {
  endFollow();
  await api.signOut().catch(() => {});
  ask("You are signed out.");
}

function ask(reason) {
  leave.abort();
  endFollow();
  shell = null;
  recent.length = 0;
  document.title = "Sign in · Waypost";
  signInPage(start, reason);
}

let isAfterG = 0;

function pressed(event) {
  if (!shell || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.key === "Escape") {
    if (shell.isMenuOpen()) shell.closeMenu();
    else if (event.target.id === "quick") shell.main.focus();
    return;
  }
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  const letter = event.key;
  if (Date.now() - isAfterG < 1500) {
    isAfterG = 0;
    const found = PLACES.flatMap(([, places]) => places).find(([key]) => key === letter);
    if (found) {
      event.preventDefault();
      location.hash = `#/${found[1]}`;
    }
  } else if (letter === "g") {
    isAfterG = Date.now();
  } else if (letter === "/") {
    event.preventDefault();
    shell.search();
  } else if (letter === "?") {
    keys();
  }
}

dress();
onSignedOut(() => {
  if (shell) ask("The sign-in has ended. Sign in again to go on where you were.");
});
addEventListener("hashchange", () => {
  if (shell) bringUp();
});
addEventListener("keydown", pressed);
if (isSignedIn()) {
  await start();
} else {
  ask("");
}
performance.mark("waypost-ready");

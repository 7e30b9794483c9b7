// Asks the public API as whoever is signed in. The token passes through here once, when somebody signs in; afterwards a
// cookie that no script can read and the key below stand for it, and neither is worth anything without the other.

const KEY = "waypost.key";
const RETRY = [500, 1000, 2000, 5000, 10000];

/** A refusal, as the server words it. */
export class Refusal extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `the server answered ${status}`);
    this.status = status;
    this.code = problem.code || "";
    this.hint = problem.hint || "";
    this.problem = problem;
  }
}

let whenSignedOut = () => {};

/** Calls back once nobody is signed in any more. */
export function onSignedOut(then) {
  whenSignedOut = then;
}

export function isSignedIn() {
  return Boolean(localStorage.getItem(KEY));
}

async function refusal(response) {
  let problem = {};
  try {
    problem = await response.json();
  } catch {
    // Something between us and the server answered in its own words.
  }
  return new Refusal(response.status, problem);
}

async function ask(method, path, { query, body, headers, signal } = {}) {
  const pairs = Object.entries(query || {}).filter(
    ([, value]) => value !== undefined && value !== null && value !== "",
  );
  const search = pairs.length ? `?${new URLSearchParams(pairs)}` : "";
  const sent = { "X-Waypost-Console": localStorage.getItem(KEY) || "", ...headers };
  if (body !== undefined) sent["Content-Type"] = "application/json";
  let response;
  try {
    const text = body === undefined ? undefined : JSON.stringify(body);
    response = await fetch(path + search, { method, headers: sent, body: text, signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, { detail: "the server can't be reached", hint: "is it running?" });
  }
  if (response.ok) return response;
  const refused = await refusal(response);
  if (refused.status === 401) {
    localStorage.removeItem(KEY);
    whenSignedOut();
  }
  throw refused;
}

async function json(method, path, options) {
  const response = await ask(method, path, options);
  return response.status === 204 ? null : response.json();
}

export const api = {
  get: (path, query, signal) => json("GET", path, { query, signal }),
  post: (path, body, signal) => json("POST", path, { body: body === undefined ? {} : body, signal }),
  patch: (path, body) => json("PATCH", path, { body }),
  remove: (path) => json("DELETE", path),
  /** The answer itself, for bytes. */
  raw: (path, query, headers, signal) => ask("GET", path, { query, headers, signal }),

  /** All pages of a list, up to `most` items; `cut` tells that there are more. */
  async all(path, query = {}, most = 2000, signal) {
    const items = [];
    let cursor;
    do {
      const page = await json("GET", path, { query: { limit: 1000, ...query, cursor }, signal });
      items.push(...page.items);
      cursor = page.next_cursor;
    } while (cursor && items.length < most);
    items.cut = Boolean(cursor);
    return items;
  },

  /** What may be refused without harm: `null` then, and `refused` tells why. */
  async tolerant(promise) {
    try {
      return { value: await promise, refused: null };
    } catch (refused) {
      if (!(refused instanceof Refusal) || refused.status === 401) throw refused;
      return { value: null, refused };
    }
  },

  async signIn(token) {
    const headers = { Authorization: `Bearer ${token}` };
    const opened = await json("POST", "/v1/session", { headers });
    localStorage.setItem(KEY, opened.key);
    return opened;
  },

  async signOut() {
    try {
      await json("DELETE", "/v1/session");
    } finally {
      localStorage.removeItem(KEY);
    }
  },
};

/** Follows what happens from now on: `onEvent` for each event, `onState` for `live` and `waiting`. Gives what ends it. */
export function follow(onEvent, onState) {
  const end = new AbortController();
  let last = null;
  let failures = 0;
  (async () => {
    while (!end.signal.aborted) {
      try {
        const headers = { Accept: "text/event-stream", ...(last ? { "Last-Event-ID": last } : {}) };
        const response = await ask("GET", "/v1/events?kinds=*", { headers, signal: end.signal });
        failures = 0;
        onState("live");
        for await (const event of events(response.body)) {
          last = event.id || last;
          if (event.data) onEvent(JSON.parse(event.data));
        }
      } catch (error) {
        if (end.signal.aborted || error.status === 401) return;
        // A place that is too old to go on from: from now on, then.
        if (error.status === 400 || error.status === 404) last = null;
      }
      onState("waiting");
      const wait = RETRY[Math.min(failures, RETRY.length - 1)];
      failures += 1;
      await new Promise((done) => setTimeout(done, wait));
    }
  })();
  return () => end.abort();
}

/** The events of a stream, as they come. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    while (true) {
      const { value, done } = await reader.read();
      if (done) return;
      rest += value;
      const pieces = rest.split("\n\n");
      rest = pieces.pop();
      for (const piece of pieces) {
        const event = { id: "", data: "" };
        for (const line of piece.split("\n")) {
          if (line.startsWith("id:")) event.id = line.slice(3).trim();
          if (line.startsWith("data:")) event.data += line.slice(5).trim();
        }
        yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

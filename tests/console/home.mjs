// A home to drive: the demo's, served by the real binary, with an agent that is stuck, a gate, a webhook that failed and files
// that mean no good.

import { spawn } from "node:child_process";
import { createServer } from "node:http";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Until the demo is indexed and its tour is over; a machine that is busy takes its time. */
const PATIENCE = 300_000;

/** Starts `waypost demo` on a folder of its own; gives where it is and what ends it. */
export async function startHome() {
  const folder = await mkdtemp(join(tmpdir(), "waypost-console-"));
  const args = ["--json", "demo", "--home", folder, "--listen", "127.0.0.1:0"];
  const child = spawn(process.env.WAYPOST, args, { stdio: ["ignore", "pipe", "inherit"] });
  const { url, token } = await announced(child).catch((error) => {
    child.kill("SIGKILL");
    throw error;
  });
  const home = {
    url,
    token,
    folder,
    ask: (...request) => ask(url, token, ...request),
    as:
      (other) =>
      (...request) =>
        ask(url, other, ...request),
  };
  return {
    ...home,
    async stop() {
      child.kill("SIGTERM");
      await new Promise((done) => child.once("exit", done));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function announced(child) {
  return new Promise((settle, fail) => {
    let text = "";
    const timer = setTimeout(() => fail(new Error(`the server said nothing in time: ${text.slice(-500)}`)), PATIENCE);
    child.once("exit", (status) => fail(new Error(`the server ended with ${status}: ${text.slice(-500)}`)));
    child.stdout.on("data", (data) => {
      text += data;
      const line = text
        .split("\n")
        .find((line) => line.startsWith("{") && line.includes('"url"') && line.endsWith("}"));
      if (!line) return;
      clearTimeout(timer);
      settle(JSON.parse(line));
    });
  });
}

/** Asks as the holder of a token; what is refused is an error. */
async function ask(url, token, method, path, body) {
  const isText = typeof body === "string";
  const headers = {
    Authorization: `Bearer ${token}`,
    ...(body === undefined || isText ? {} : { "Content-Type": "application/json" }),
  };
  const response = await fetch(url + path, {
    method,
    headers,
    body: body === undefined || isText ? body : JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Somebody who is told of events, and who refuses them while `open` is false. */
export async function startReceiver() {
  const told = [];
  const state = { isOpen: false, told };
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (data) => {
      body += data;
    });
    request.on("end", () => {
      if (state.isOpen) told.push(JSON.parse(body));
      response.writeHead(state.isOpen ? 204 : 410).end();
    });
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return Object.assign(state, { url: `http://127.0.0.1:${server.address().port}/hook`, stop: () => server.close() });
}

/** Until the page that the address names is there as a whole: a change of the address is heard a moment later. */
export async function settled(page) {
  await page.evaluate(() => new Promise((heard) => setTimeout(heard)));
  await page.locator("main h1, main .empty").first().waitFor();
  await page.waitForFunction(() => !document.querySelector("main .loading"));
}

/** Asks again until what comes fits. */
export async function until(what, fits, patience = 20_000) {
  const end = Date.now() + patience;
  for (;;) {
    const found = await what();
    if (fits(found)) return found;
    if (Date.now() > end) throw new Error(`not in time: ${JSON.stringify(found).slice(0, 500)}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

export const HOSTILE = {
  "evil.md":
    "# Hello\n\n<script>window.pwned = 'script'</script>\n<img src=x onerror=\"window.pwned = 'img'\">\n\n[click](javascript:window.pwned='link')\n\n![pic](https://evil.example/p.png)\n\n<iframe src=\"https://evil.example\"></iframe>\n",
  "evil.html":
    "<!doctype html><body onload=\"window.pwned='load'\"><script>window.pwned='html'</script><img src=x onerror=\"window.pwned='img'\"></body>",
  "evil.svg":
    '<svg xmlns="http://www.w3.org/2000/svg" onload="window.pwned=\'svg\'"><script>window.pwned=\'svg script\'</script><foreignObject><body xmlns="http://www.w3.org/1999/xhtml"><img src="x" onerror="window.pwned=\'f\'"/></body></foreignObject></svg>',
  "<img src=x onerror=window.pwned='name'>.md": "a name that would like to be markup\n",
};

/** A PDF with a page for each text, as plain ASCII. */
export function pdf(pages) {
  const objects = ["<< /Type /Catalog /Pages 2 0 R >>", ""];
  objects.push("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>");
  const kids = [];
  for (const text of pages) {
    const drawn = `BT /F1 12 Tf 14 TL 72 720 Td\n${text
      .split("\n")
      .map((line) => `(${line}) Tj T*\n`)
      .join("")}ET`;
    objects.push(`<< /Length ${drawn.length} >>\nstream\n${drawn}\nendstream`);
    objects.push(
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> /Contents ${objects.length} 0 R >>`,
    );
    kids.push(`${objects.length} 0 R`);
  }
  objects[1] = `<< /Type /Pages /Kids [${kids.join(" ")}] /Count ${pages.length} >>`;
  let file = "%PDF-1.4\n";
  const places = objects.map((object, at) => {
    const place = file.length;
    file += `${at + 1} 0 obj\n${object}\nendobj\n`;
    return `${String(place).padStart(10, "0")} 00000 n \n`;
  });
  const end = `trailer\n<< /Size ${objects.length + 1} /Root 1 0 R >>\nstartxref\n${file.length}\n%%EOF\n`;
  return `${file}xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${places.join("")}${end}`;
}

/** Documents whose text is read out of them; what is cited stands on other lines there than in the bytes. */
export const PAPERS = {
  "ferry.pdf": pdf([
    "Ferries of the bay\nThe first boat leaves at six.",
    "Winter\nThe quokkaline ferry sails at noon.\nIt carries no bicycles.",
  ]),
  "fair.html": `<!doctype html>\n<html>\n<head>\n<title>Fair</title>\n<style>\n${"p { color: inherit }\n".repeat(30)}</style>\n</head>\n<body>\n${"<!-- nothing -->\n".repeat(30)}<h1>Fair</h1>\n<p>The velocipedal contest\nbegins at nine.</p>\n</body>\n</html>\n`,
};

/** Fills the home; gives what the stories need to know. */
export async function furnish(home, receiver) {
  const { ask } = home;
  const token = async (principal, grants = []) => {
    await ask("POST", "/v1/principals", { id: principal });
    for (const grant of grants) await ask("POST", "/v1/grants", { to: principal, ...grant });
    return (await ask("POST", "/v1/tokens", { principal, name: "console test" })).token;
  };
  const board = { path: "/board/**", verbs: ["list", "read", "write", "delete"] };
  await ask("POST", "/v1/workspaces", { name: "board" });
  await ask("PUT", "/v1/files/board/plan.md", "# Plan\n\nThe zephyrine launch is on Monday.\nNobody else knows.\n");
  await ask("PUT", "/v1/files/board/plan.md", "# Plan\n\nThe zephyrine launch is on Tuesday.\nNobody else knows.\n");
  await ask("PUT", "/v1/files/board/drafts/notice.md", "# Notice\n\nThe office is closed on Friday.\n");
  for (const [name, text] of Object.entries(HOSTILE))
    await ask("PUT", `/v1/files/board/hostile/${encodeURIComponent(name)}`, text);
  for (const [name, text] of Object.entries(PAPERS)) await ask("PUT", `/v1/files/board/papers/${name}`, text);
  await ask("POST", "/v1/gates", { path: "/board/published/**", note: "somebody looks at it first" });
  const writer = await token("agent:clerk", [board]);
  const stuck = await token("agent:stuck", [{ path: "/board/**", verbs: ["list", "read", "write"] }]);
  const restricted = await token("human:visitor", [{ path: "/marketing/brand/**", verbs: ["list", "read"] }]);
  await ask("PUT", "/v1/agents/agent:stuck", {
    name: "Stuck",
    description: "Sends the weekly letter to the printer",
    examples: ["print the weekly letter"],
    inbox: "board",
  });
  await ask("POST", "/v1/budgets", {
    holder: "agent:clerk",
    limits: { usd: "1.50", calls: 100 },
    note: "a day of clerking",
  });
  const task = await ask("POST", "/v1/tasks", {
    workspace: "board",
    title: "Print the weekly letter",
    to: "agent:stuck",
    inbox: true,
    max_attempts: 1,
    on_trouble: [],
  });
  const claimed = await home.as(stuck)("POST", "/v1/tasks/claim", { workspace: "board", task_id: task.task_id });
  await home.as(stuck)("POST", "/v1/tasks/fail", {
    task_id: task.task_id,
    fence: claimed.task.fence,
    error: "the printer says: paper jam in tray 2",
    retry: false,
  });
  await ask("POST", "/v1/tasks", { workspace: "board", title: "Tidy the archive" });
  const webhook = await ask("POST", "/v1/webhooks", {
    url: receiver.url,
    name: "the archive",
    paths: ["/board/archive/**"],
  });
  await ask("PUT", "/v1/files/board/archive/a.md", "for the archive\n");
  const trace = await dispatchChain(home);
  return { writer, stuck, restricted, task, webhook, trace };
}

/** Two hands: somebody asks an agent, and that one asks another. */
async function dispatchChain(home) {
  const first = await home.ask("POST", "/v1/dispatch", {
    intent: "Write a short note about the spring fair",
    to: "agent:marketing-writer",
    trace: "trace-console",
  });
  const token = (await home.ask("POST", "/v1/tokens", { principal: "agent:marketing-writer", name: "console test" }))
    .token;
  const hand = home.as(token);
  await hand("POST", "/v1/tasks/claim", { task_id: first.task_id, inbox: true }).catch(() => {});
  await hand("POST", "/v1/dispatch", {
    intent: "Put the note about the spring fair into German",
    trace: "trace-console",
  }).catch(() => {});
  return "trace-console";
}

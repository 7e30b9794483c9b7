// The first page: what needs somebody, who has how much to do, and what happens at this moment.

import { allTasks } from "./alltasks.js";
import { api } from "./api.js";
import { count, h, link, plural, short, swap, when } from "./dom.js";
import { agentLink, agentsAtWork, atLeast, isOpen, levelBadge, stateBar, taskLink, taskTrouble } from "./flow.js";
import { eventLine } from "./events.js";
import { empty, fillIn, head, section, table } from "./ui.js";

const FEED = 12;

export async function show(view) {
  const attention = h("div", {});
  const tiles = h("div", { class: "tiles" });
  const agents = h("div", {});
  const tasks = h("div", {});
  const feed = h("ol", { class: "feed" });
  const fill = () =>
    fillIn(
      agents,
      async () => {
        const seen = await look(view.signal);
        swap(tiles, tilesOf(seen));
        swap(attention, attentionOf(seen));
        swap(
          tasks,
          seen.tasks.length
            ? stateBar(seen.tasks)
            : empty("No tasks yet", "An agent that is handed something has it here."),
        );
        return agentTable(seen.rows);
      },
      view.signal,
    );
  const tell = () =>
    swap(
      feed,
      view.recent.length
        ? view.recent.slice(0, FEED).map((event) => eventLine(event))
        : h("li", { class: "fine" }, "Nothing has happened since this page was opened."),
    );
  view.main.replaceChildren(
    head("Overview", "How work flows between the agents of this home, as far as you may see it."),
    tiles,
    attention,
    section("Agents", {}, agents),
    h(
      "div",
      { class: "two" },
      section("Tasks by state", {}, tasks),
      section("Now", { aside: h("span", { class: "fine" }, "live") }, feed),
    ),
  );
  view.live(
    () => true,
    () => {
      tell();
      fill();
    },
  );
  tell();
  await fill();
}

/** Everything that the page needs; what may not be seen is missing, and the rest is shown. */
async function look(signal) {
  const ask = (path, query, most) => api.tolerant(api.all(path, query, most, signal));
  const [agents, tasks, webhooks, approvals, workspaces] = await Promise.all([
    ask("/v1/agents"),
    api.tolerant(allTasks({}, signal)),
    ask("/v1/webhooks"),
    ask("/v1/approvals", { state: "pending" }),
    ask("/v1/workspaces"),
  ]);
  const list = (answer) => answer.value || [];
  return {
    refused: [agents, tasks, webhooks, approvals, workspaces].every((answer) => answer.refused),
    rows: agentsAtWork(list(agents), list(tasks)),
    tasks: list(tasks),
    webhooks: list(webhooks),
    approvals: list(approvals),
    workspaces: list(workspaces),
  };
}

function tile(level, many, words, detail, href) {
  return h(
    "a",
    { class: ["tile", level], href },
    h("span", { class: "tile-many" }, many),
    h("span", { class: "tile-words" }, words),
    h("span", { class: "tile-detail" }, detail),
  );
}

function tilesOf({ rows, tasks, webhooks, approvals, workspaces }) {
  const stuck = rows.filter((row) => row.level === "bad").length;
  const failing = webhooks.filter(isFailing).length;
  const open = tasks.filter(isOpen).length;
  const failed = tasks.filter((task) => task.state === "failed").length;
  const isMore = [...(tasks.cut || [])].some((state) => isOpen({ state }));
  const behind = workspaces.reduce((sum, one) => sum + one.index.pending_files, 0);
  const files = workspaces.reduce((sum, one) => sum + one.indexed_files, 0);
  return [
    tile(
      stuck ? "bad" : "",
      count(rows.length),
      rows.length === 1 ? "agent" : "agents",
      stuck ? `${stuck} stuck` : "none is stuck",
      link("registry"),
    ),
    tile(
      failed ? "bad" : "",
      atLeast(open, isMore),
      open === 1 ? "open task" : "open tasks",
      failed ? `${failed} given up` : "none given up",
      link("tasks"),
    ),
    tile(
      approvals.length ? "warn" : "",
      count(approvals.length),
      approvals.length === 1 ? "approval" : "approvals",
      approvals.length ? "wait for a decision" : "nothing waits",
      link("approvals"),
    ),
    tile(
      failing ? "bad" : "",
      count(webhooks.length),
      webhooks.length === 1 ? "webhook" : "webhooks",
      failing ? `${failing} failing` : "all well",
      link("webhooks"),
    ),
    tile(
      behind ? "warn" : "",
      count(files),
      files === 1 ? "file indexed" : "files indexed",
      behind ? `${count(behind)} on their way` : "up to date",
      link("index"),
    ),
  ];
}

const isFailing = (webhook) => Boolean(webhook.failing_since) || !webhook.active;

/** What needs somebody, worst first, each with its cause. */
function attentionOf({ rows, tasks, webhooks, approvals, refused }) {
  if (refused)
    return section(
      "Needs attention",
      {},
      empty(
        "Nothing here is yours to see yet",
        "This token has no grants, or nothing has happened. Somebody who manages the home can grant it more.",
      ),
    );
  const items = [];
  const attention = (level, ...rest) => items.push([level, attentionItem(level, ...rest)]);
  for (const row of rows.filter((row) => row.trouble))
    attention(
      row.level,
      agentLink(row.id),
      row.trouble.cause,
      row.trouble.task ? ["in ", taskLink(row.trouble.task)] : null,
      row.troubles.length - 1,
    );
  // Tasks that are for nobody in particular are in trouble as well.
  for (const task of tasks.filter((task) => !task.to && !task.holder)) {
    const trouble = taskTrouble(task);
    if (trouble) attention(trouble.level, taskLink(task), trouble.cause);
  }
  for (const webhook of webhooks.filter(isFailing)) {
    const cause =
      webhook.paused_because ||
      (webhook.failing_since ? ["every try has failed since ", when(webhook.failing_since)] : "is paused");
    attention(
      webhook.failing_since ? "bad" : "warn",
      h("a", { href: link(["webhooks", webhook.id]) }, webhook.name || webhook.id),
      cause,
    );
  }
  for (const approval of approvals.slice(0, 5)) {
    attention("warn", h("a", { href: link(["approvals", approval.id]) }, short(approval.path, 60)), [
      `${approval.requester} asked for a decision `,
      when(approval.created_at),
    ]);
  }
  if (!items.length)
    return section(
      "Needs attention",
      {},
      empty("Nothing needs you", "No agent is stuck, no approval waits and every webhook gets through."),
    );
  const worst = ["bad", "warn"].flatMap((level) => items.filter(([of]) => of === level).map(([, item]) => item));
  return section(
    "Needs attention",
    { aside: h("span", { class: "fine" }, plural(items.length, "thing")) },
    h("ul", { class: "attention" }, worst),
  );
}

function attentionItem(level, what, cause, where, more) {
  return h(
    "li",
    { class: level },
    h("span", { class: "signal", "aria-hidden": "true" }),
    h(
      "div",
      {},
      h("strong", {}, what),
      h("span", { class: "cause" }, cause),
      (where || more > 0) && h("span", { class: "fine" }, where, more > 0 && ` and ${more} more`),
    ),
  );
}

function agentTable(rows) {
  if (!rows.length)
    return empty("No agents yet", "Register one by its card: PUT /v1/agents/{id}, or waypost agent add.");
  return table(
    "Agents and what lies before them",
    [
      ["Agent", (row) => agentLink(row.id)],
      ["State", (row) => levelBadge(row.level)],
      ["Inbox", (row) => count(row.inbox.length), "number"],
      ["Oldest", (row) => (row.oldest ? when(row.oldest) : "–")],
      ["Attempts", (row) => row.attempts || "–", "number"],
      [
        "Last error",
        (row) => (row.lastError ? h("span", { title: row.lastError }, short(row.lastError, 80)) : "–"),
        "wide",
      ],
    ],
    rows,
    { rowClass: (row) => row.level },
  );
}

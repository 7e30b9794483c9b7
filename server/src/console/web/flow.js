// Judges how work flows, from what the API tells of agents and tasks: pure functions, so that every page says the same.

import { count, h, link, plural, secondsSince, short, span } from "./dom.js";
import { badge } from "./ui.js";

/** A task that nobody has taken for so many seconds is late. */
const LATE = 15 * 60;
const ORDER = { bad: 0, warn: 1, good: 2 };

/** `{level, cause, task}`: what is wrong with a task, or null. */
export function taskTrouble(task) {
  const tried = `${task.attempts} of ${plural(task.max_attempts ?? task.attempts, "try", "tries")}`;
  const said = task.last_error ? `: ${task.last_error}` : "";
  if (task.state === "failed") return { level: "bad", cause: `given up after ${tried}${said}`, task };
  if (task.state === "waiting") return { level: "bad", cause: `waits for a person after ${tried}${said}`, task };
  if (task.state === "in-progress" && task.lease_expires_at && secondsSince(task.lease_expires_at) > 0) {
    return { level: "bad", cause: `${task.holder} has let its lease run out${said}`, task };
  }
  if (task.state === "pending" && task.last_error)
    return { level: "warn", cause: `tried ${tried}, waits for the next${said}`, task };
  if (task.state === "pending" && secondsSince(task.created_at) > LATE) {
    return { level: "warn", cause: `nobody has taken it for ${span(secondsSince(task.created_at))}`, task };
  }
  if (task.state === "review" && secondsSince(task.updated_at) > LATE)
    return { level: "warn", cause: "its result waits for review", task };
  return null;
}

export const isOpen = (task) => task.state !== "done" && task.state !== "failed";

/** Whether a task lies in an inbox, as the API counts it: also one that was given up, until somebody takes it away. */
export const isWaiting = (task) => task.state !== "done";

/** What lies before each agent: `{id, name, card, tasks, inbox, oldest, attempts, lastError, trouble, level}`; worst first. */
export function agentsAtWork(agents, tasks) {
  const byAgent = new Map(agents.map((card) => [card.id, { id: card.id, name: card.name, card, tasks: [] }]));
  for (const task of tasks) {
    for (const id of new Set([task.to, task.holder])) {
      if (!id || (!byAgent.has(id) && !id.startsWith("agent:"))) continue;
      if (!byAgent.has(id)) byAgent.set(id, { id, name: id, card: null, tasks: [] });
      byAgent.get(id).tasks.push(task);
    }
  }
  const rows = [...byAgent.values()].map(judge);
  return rows.sort(
    (a, b) => ORDER[a.level] - ORDER[b.level] || b.inbox.length - a.inbox.length || a.id.localeCompare(b.id),
  );
}

function judge(agent) {
  const inbox = agent.tasks.filter(isWaiting);
  const troubles = agent.tasks
    .map(taskTrouble)
    .filter(Boolean)
    .sort((a, b) => ORDER[a.level] - ORDER[b.level] || b.task.updated_at.localeCompare(a.task.updated_at));
  const failing = agent.tasks
    .filter((task) => task.last_error && task.state !== "done")
    .sort((a, b) => b.updated_at.localeCompare(a.updated_at));
  const standing = agent.card?.standing;
  const trouble =
    troubles[0] ||
    (standing && !standing.available
      ? { level: "warn", cause: standing.unavailable || "it takes nothing more now", task: null }
      : null);
  return {
    ...agent,
    inbox,
    troubles,
    trouble,
    level: trouble ? trouble.level : "good",
    oldest: inbox.reduce((oldest, task) => (!oldest || task.created_at < oldest ? task.created_at : oldest), null),
    attempts: inbox.reduce((most, task) => Math.max(most, task.attempts), 0),
    lastError: failing[0]?.last_error || null,
  };
}

const WORDS = { bad: "Stuck", warn: "Slow", good: "Flowing" };

export function levelBadge(level) {
  return badge(level, WORDS[level]);
}

export function taskLink(task, words) {
  return h("a", { href: link(["tasks", task.task_id]) }, words || short(task.title || task.task_id, 70));
}

export function agentLink(id) {
  return h("a", { href: link(["agent", id]) }, id);
}

/** The trace that a task was handed over in, where it was. */
export function traceOf(task) {
  const trace = task.payload?.trace;
  return typeof trace?.id === "string" ? trace.id : null;
}

export const STATES = ["pending", "waiting", "in-progress", "review", "done", "failed"];

/** A number that may be more. */
export function atLeast(number, isCut) {
  return `${count(number)}${isCut ? "+" : ""}`;
}

/** How many tasks stand in each state, as one bar with its words; of the states in `tasks.cut` there are more. */
export function stateBar(tasks) {
  const counts = STATES.map((name) => [name, tasks.filter((task) => task.state === name).length]);
  const total = Math.max(1, tasks.length);
  const part = ([name, many]) =>
    many > 0 &&
    h("span", { class: ["slice", name], css: { "flex-grow": String(many / total) }, title: `${name}: ${many}` });
  const words = ([name, many]) =>
    h(
      "li",
      {},
      h(
        "a",
        { href: link("tasks", { state: name }) },
        h("span", { class: ["key", name], "aria-hidden": "true" }),
        h("strong", {}, atLeast(many, tasks.cut?.has(name))),
        " ",
        name.replace("-", " "),
      ),
    );
  return h(
    "div",
    { class: "state-bar" },
    h("div", { class: "slices", "aria-hidden": "true" }, counts.map(part)),
    h("ul", {}, counts.map(words)),
  );
}

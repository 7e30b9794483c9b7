// One agent: what it says of itself, what lies before it, and why that does not move.

import { allTasks } from "./alltasks.js";
import { api } from "./api.js";
import { count, h, link, percent, plural, short, usd, when } from "./dom.js";
import { agentsAtWork, isOpen, levelBadge, taskLink, taskTrouble, traceOf } from "./flow.js";
import { badge, crumbs, empty, facts, fillIn, head, section, state, table } from "./ui.js";

export async function show(view) {
  const id = view.rest.join("/");
  const body = h("div", {});
  const title = h("div", {}, head(id, "What lies before this agent, and why it does not move."));
  view.main.replaceChildren(crumbs([["Overview", link("overview")], [id]]), title, body);
  const fill = () =>
    fillIn(
      body,
      async () => {
        const [card, tasks] = await Promise.all([
          api.tolerant(api.get(`/v1/agents/${encodeURIComponent(id)}`, null, view.signal)),
          api.tolerant(allTasks({ to: id }, view.signal)),
        ]);
        if (card.refused && !tasks.value?.length) throw card.refused;
        const row = agentsAtWork(card.value ? [card.value] : [], tasks.value || []).find((row) => row.id === id);
        return [causes(row), inbox(row), about(card.value)];
      },
      view.signal,
    );
  view.live((event) => event.event.startsWith("task.") || event.event.startsWith("agent."), fill);
  await fill();
}

function causes(row) {
  if (!row?.trouble) return h("p", { class: "verdict good" }, levelBadge("good"), " Nothing holds it up.");
  const items = row.troubles.length ? row.troubles : [row.trouble];
  return h(
    "div",
    { class: ["verdict", row.level], id: "cause" },
    h("p", {}, levelBadge(row.level), " ", h("strong", {}, items[0].cause)),
    items[0].task &&
      h("p", { class: "fine" }, "Task ", taskLink(items[0].task), " · last touched ", when(items[0].task.updated_at)),
    items.length > 1 && h("p", { class: "fine" }, `and ${plural(items.length - 1, "more trouble")} below`),
  );
}

function inbox(row) {
  const tasks = (row?.tasks || []).toSorted(
    (a, b) => (taskTrouble(b) ? 1 : 0) - (taskTrouble(a) ? 1 : 0) || b.updated_at.localeCompare(a.updated_at),
  );
  const shown = tasks.filter((task) => isOpen(task) || task.state === "failed");
  const done = tasks.length - shown.length;
  return section(
    "Inbox",
    {
      aside: h(
        "span",
        { class: "fine" },
        `${plural(shown.filter(isOpen).length, "open task")}${done ? `, ${count(done)} done` : ""}`,
      ),
    },
    shown.length
      ? table(
          "Tasks before the agent",
          [
            ["Task", (task) => taskLink(task)],
            ["State", (task) => state(task.state)],
            ["Came", (task) => when(task.created_at)],
            ["Attempts", (task) => `${task.attempts} of ${task.max_attempts}`, "number"],
            ["Holder", (task) => task.holder || "–"],
            ["Why it does not move", (task) => taskTrouble(task)?.cause || "–", "wide"],
            ["Trace", (task) => (traceOf(task) ? h("a", { href: link(["traces", traceOf(task)]) }, "trace") : "–")],
          ],
          shown,
          { rowClass: (task) => taskTrouble(task)?.level },
        )
      : empty("Its inbox is empty"),
  );
}

function about(card) {
  if (!card) return null;
  const { standing, price } = card;
  return section(
    "Card",
    {},
    facts([
      ["Name", card.name],
      ["Description", card.description],
      [
        "Answers",
        standing &&
          (standing.available ? badge("good", "available") : badge("warn", standing.unavailable || "not now")),
      ],
      ["Went well", standing && `${percent(standing.success)} of its last tasks`],
      [
        "Price",
        price && (price.usd_per_call || price.tokens)
          ? `${usd(price.usd_per_call)}${price.tokens ? `, ${count(price.tokens)} tokens` : ""} a task`
          : null,
      ],
      ["At once", card.limits?.max_open_tasks && plural(card.limits.max_open_tasks, "task")],
      ["Inbox", card.inbox && h("a", { href: link(["files", card.inbox]) }, `/${card.inbox}`)],
      [
        "Examples",
        card.examples?.length > 0 &&
          h(
            "ul",
            { class: "plain" },
            card.examples.slice(0, 8).map((text) => h("li", {}, short(text, 120))),
          ),
      ],
      ["Changed", when(card.updated_at)],
    ]),
  );
}

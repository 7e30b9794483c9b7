// Tasks: those in a state, and one with its whole story.

import { MOST, allTasks } from "./alltasks.js";
import { api } from "./api.js";
import { count, fileLink, h, link, short, when } from "./dom.js";
import { STATES, agentLink, atLeast, taskLink, taskTrouble, traceOf } from "./flow.js";
import {
  badge,
  button,
  confirm,
  crumbs,
  empty,
  facts,
  fillIn,
  head,
  pre,
  section,
  state,
  table,
  tabs,
  toast,
} from "./ui.js";

/** Lines of the list. */
const SHOWN = 300;

export async function show(view) {
  await (view.rest.length ? showOne(view) : showAll(view));
}

async function showAll(view) {
  const wanted = view.query.get("state") || "";
  const ways = h("div", {});
  const list = h("div", {});
  view.main.replaceChildren(head("Tasks", "What was handed out, who has it, and where it stands."), ways, list);
  const fill = () =>
    fillIn(
      list,
      async () => {
        const all = await allTasks({}, view.signal);
        const tasks = wanted ? all.filter((task) => task.state === wanted) : all;
        const many = (name) => atLeast(all.filter((task) => task.state === name).length, all.cut.has(name));
        ways.replaceChildren(
          tabs(
            "States",
            [
              ["all", link("tasks"), atLeast(all.length, all.cut.size > 0)],
              ...STATES.map((name) => [name.replace("-", " "), link("tasks", { state: name }), many(name)]),
            ],
            (wanted || "all").replace("-", " "),
          ),
        );
        if (!tasks.length)
          return empty(
            wanted ? `No task is ${wanted.replace("-", " ")}` : "No tasks yet",
            wanted ? null : "POST /v1/tasks makes one, and so does a dispatch.",
          );
        const newest = tasks.toSorted((a, b) => b.updated_at.localeCompare(a.updated_at));
        const isCut = wanted ? all.cut.has(wanted) : all.cut.size > 0;
        return [
          table(
            "Tasks",
            [
              ["Task", (task) => taskLink(task), "wide"],
              ["State", (task) => state(task.state)],
              ["For", (task) => (task.to ? agentLink(task.to) : task.capability || "anybody")],
              ["Holder", (task) => task.holder || "–"],
              ["Attempts", (task) => `${task.attempts} of ${task.max_attempts}`, "number"],
              ["Changed", (task) => when(task.updated_at)],
              ["Last error", (task) => (task.last_error ? short(task.last_error, 60) : "–")],
            ],
            newest.slice(0, SHOWN),
            { rowClass: (task) => taskTrouble(task)?.level },
          ),
          newest.length > SHOWN &&
            h(
              "p",
              { class: "fine" },
              `The ${SHOWN} that changed last are shown`,
              isCut && `, of the ${count(MOST)} in each state that were made last`,
              ".",
            ),
        ];
      },
      view.signal,
    );
  view.live((event) => event.event.startsWith("task.") || event.event === "agent.dispatched", fill);
  await fill();
}

async function showOne(view) {
  const [id] = view.rest;
  const body = h("div", {});
  view.main.replaceChildren(body);
  const fill = () =>
    fillIn(
      body,
      async () => {
        const task = await api.get(`/v1/tasks/${encodeURIComponent(id)}`, null, view.signal);
        return page(task, fill);
      },
      view.signal,
    );
  view.live(
    (event) => event.event.startsWith("task.") && (event.data?.task_id === id || event.path.includes(id)),
    fill,
  );
  await fill();
}

function page(task, again) {
  const trouble = taskTrouble(task);
  const trace = traceOf(task);
  return [
    crumbs([["Tasks", link("tasks")], [short(task.title || task.task_id, 60)]]),
    head(task.title || task.task_id, null, ...acts(task, again)),
    trouble
      ? h(
          "div",
          { class: ["verdict", trouble.level], id: "cause" },
          h(
            "p",
            {},
            badge(trouble.level, trouble.level === "bad" ? "Stuck" : "Slow"),
            " ",
            h("strong", {}, trouble.cause),
          ),
        )
      : h("p", { class: "verdict" }, state(task.state)),
    section(
      "What it is",
      {},
      facts([
        ["State", state(task.state)],
        ["For", task.to ? agentLink(task.to) : task.capability],
        ["Made by", task.created_by],
        ["Made", when(task.created_at)],
        ["Holder", task.holder],
        ["Lease ends", task.lease_expires_at && when(task.lease_expires_at)],
        ["Attempts", `${task.attempts} of ${task.max_attempts}`],
        ["Last error", task.last_error],
        [
          "Decision",
          task.approval_id && h("a", { href: link(["approvals", task.approval_id]) }, "waits for an approval"),
        ],
        [
          "Routed by",
          task.decision_id && h("a", { href: link(["registry", "decision", task.decision_id]) }, task.decision_id),
        ],
        ["Trace", trace && h("a", { href: link(["traces", trace]) }, trace)],
        ["Depends on", task.depends_on.length > 0 && task.depends_on.join(", ")],
        ["Due", task.due_at && when(task.due_at)],
        ["File", h("a", { href: fileLink(task.path) }, task.path)],
        [
          "Artifacts",
          task.artifacts.length > 0 &&
            h(
              "ul",
              { class: "plain" },
              task.artifacts.map((path) => h("li", {}, h("a", { href: fileLink(path) }, path))),
            ),
        ],
      ]),
    ),
    section("Story", {}, h("ol", { class: "story" }, task.history.map(step))),
    task.payload !== null && section("Payload", {}, pre(JSON.stringify(task.payload, null, 2), "Payload")),
  ];
}

function step(past) {
  return h(
    "li",
    {},
    h("span", { class: "event of-task" }, String(past.what ?? "")),
    h("span", {}, past.by),
    h("span", { class: "fine" }, when(past.at)),
    past.reason && h("span", { class: "reason" }, past.reason),
  );
}

function acts(task, again) {
  const id = task.task_id;
  const done = async (path, body, words) => {
    await api.post(path, body);
    toast(words, "good");
    await again();
  };
  const list = [];
  if (task.state === "review") {
    list.push(button("Accept", () => done("/v1/tasks/accept", { task_id: id }, "Accepted"), { class: "primary" }));
    list.push(
      button("Send back", async () => {
        const reason = await confirm("Send the result back?", { yes: "Send back", reason: "What is missing" });
        if (reason !== null) await done("/v1/tasks/reject", { task_id: id, reason }, "Sent back");
      }),
    );
  }
  if (task.state !== "done" && task.state !== "failed") {
    list.push(
      button(
        "Cancel task",
        async () => {
          const reason = await confirm("Call this task off?", { yes: "Call it off", danger: true, reason: "Why" });
          if (reason !== null) await done("/v1/tasks/cancel", { task_id: id, reason }, "Called off");
        },
        { class: "danger" },
      ),
    );
  }
  return list;
}

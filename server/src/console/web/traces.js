// Traces: who handed what to whom, as a tree, with the task that came of each hop, its decision, its price and what was spent.

import { allTasks } from "./alltasks.js";
import { api } from "./api.js";
import { count, h, link, plural, short, usd, when } from "./dom.js";
import { agentLink, taskLink, taskTrouble, traceOf } from "./flow.js";
import { button, confirm, crumbs, empty, fillIn, head, section, state, table, toast } from "./ui.js";

export async function show(view) {
  await (view.rest.length ? showOne(view) : showAll(view));
}

const concerns = (event) =>
  event.event === "agent.dispatched" || event.event === "loop.detected" || event.event.startsWith("task.");

async function showAll(view) {
  const list = h("div", {});
  view.main.replaceChildren(
    head(
      "Traces",
      "Each dispatch belongs to a trace: the hands that a wish goes through. One that goes in circles is parked.",
    ),
    list,
  );
  const fill = () =>
    fillIn(
      list,
      async () => {
        const traces = await api.all("/v1/traces", {}, 1000, view.signal);
        if (!traces.length)
          return empty("No dispatches yet", "POST /v1/dispatch hands an intent to the agent that can do it.");
        return table(
          "Traces, newest first",
          [
            [
              "Began with",
              (trace) =>
                h("a", { href: link(["traces", trace.trace_id]) }, short(trace.hops[0]?.text || trace.trace_id, 70)),
              "wide",
            ],
            ["State", (trace) => state(trace.state)],
            ["Hands", (trace) => count(trace.hops.length), "number"],
            ["Deepest", (trace) => Math.max(0, ...trace.hops.map((hop) => hop.hop)), "number"],
            ["By", (trace) => trace.hops[0]?.from],
            ["Last", (trace) => when(trace.hops.at(-1)?.at)],
          ],
          traces,
        );
      },
      view.signal,
    );
  view.live(concerns, fill);
  await fill();
}

async function showOne(view) {
  const id = view.rest.join("/");
  const body = h("div", {});
  view.main.replaceChildren(body);
  const fill = () =>
    fillIn(
      body,
      async () => {
        const [trace, tasks, agents] = await Promise.all([
          api.get(`/v1/traces/${encodeURIComponent(id)}`, null, view.signal),
          api.tolerant(allTasks({}, view.signal)),
          api.tolerant(api.all("/v1/agents", {}, 2000, view.signal)),
        ]);
        const own = (tasks.value || []).filter((task) => traceOf(task) === id);
        // A task tells the decision that led to it only when it is asked for alone.
        const full = await Promise.all(
          own.slice(0, 50).map((task) => api.tolerant(api.get(`/v1/tasks/${task.task_id}`, null, view.signal))),
        );
        return page(
          trace,
          full.map((one, at) => one.value || own[at]),
          agents.value || [],
          fill,
        );
      },
      view.signal,
    );
  view.live(concerns, fill);
  await fill();
}

/** Each hop below the newest one before it that led to its sender. */
export function tree(hops) {
  const roots = [];
  const nodes = [];
  for (const hop of hops) {
    const node = { hop, children: [] };
    const parent = nodes.findLast((other) => other.hop.to === hop.from && other.hop.hop === hop.hop - 1);
    (parent ? parent.children : roots).push(node);
    nodes.push(node);
  }
  return roots;
}

function page(trace, tasks, agents, again) {
  const left = [...tasks];
  const taskOf = (hop) => {
    const at = left.findIndex(
      (task) => task.to === hop.to && hop.text.startsWith(short(task.title, 60).replace(/…$/, "")),
    );
    return at < 0 ? null : left.splice(at, 1)[0];
  };
  const prices = new Map(agents.map((agent) => [agent.id, agent.price]));
  const pairs = new Map(trace.hops.map((hop) => [hop, taskOf(hop)]));
  const total = trace.hops.reduce((sum, hop) => sum + (prices.get(hop.to)?.usd_per_call || 0), 0);
  const branch = ({ hop, children }) =>
    h(
      "li",
      {},
      hopCard(hop, pairs.get(hop), prices.get(hop.to)),
      children.length > 0 && h("ol", {}, children.map(branch)),
    );
  return [
    crumbs([["Traces", link("traces")], [short(trace.hops[0]?.text || trace.trace_id, 50)]]),
    head("Trace", trace.trace_id),
    h(
      "p",
      { class: "verdict" },
      state(trace.state),
      ` ${plural(trace.hops.length, "hand")}, ${Math.max(0, ...trace.hops.map((hop) => hop.hop))} deep, ${usd(total)} by the agents' prices, ${spent(trace.spent)} spent`,
    ),
    trace.reason && h("p", { class: "note warn" }, trace.reason),
    trace.approval_id &&
      trace.state === "parked" &&
      h(
        "div",
        { class: "actions" },
        decide(trace, again, "grant", "Let it go on"),
        decide(trace, again, "deny", "End it"),
      ),
    section("Hands", {}, h("ol", { class: "tree" }, tree(trace.hops).map(branch))),
  ];
}

function decide(trace, again, decision, words) {
  return button(
    words,
    async () => {
      const reason = await confirm(`${words}?`, { yes: words, danger: decision === "deny", reason: "Reason" });
      if (reason === null) return;
      await api.post(`/v1/approvals/${trace.approval_id}`, { decision, reason });
      toast(decision === "grant" ? "It goes on" : "It is ended", "good");
      await again();
    },
    { class: decision === "deny" ? "danger" : "primary" },
  );
}

function spent(use) {
  return `${usd(use?.usd)}${use?.tokens ? ` and ${count(use.tokens)} tokens` : ""}`;
}

function hopCard(hop, task, price) {
  const trouble = task && taskTrouble(task);
  return h(
    "div",
    { class: ["hop", trouble?.level] },
    h(
      "p",
      {},
      h("span", { class: "hop-number", title: "hop" }, String(hop.hop)),
      h("strong", {}, hop.from),
      " → ",
      agentLink(hop.to),
      !hop.is_new &&
        h("span", { class: "badge warn", title: "it brought nothing that was not there before" }, "nothing new"),
    ),
    h("p", {}, short(hop.text, 200)),
    h(
      "p",
      { class: "fine" },
      when(hop.at),
      price &&
        (price.usd_per_call > 0 || price.tokens > 0) &&
        ` · asks ${usd(price.usd_per_call)}${price.tokens ? ` and ${count(price.tokens)} tokens` : ""}`,
      hop.spent && ` · spent ${spent(hop.spent)}`,
      hop.artifacts.length > 0 && ` · ${plural(hop.artifacts.length, "artifact")}`,
    ),
    task &&
      h(
        "p",
        {},
        state(task.state),
        " ",
        taskLink(task, task.task_id),
        task.decision_id && [
          " · ",
          h("a", { href: link(["registry", "decision", task.decision_id]) }, "why this agent"),
        ],
      ),
    trouble && h("p", { class: "cause" }, trouble.cause),
  );
}

// Webhooks: whether they get through, and each event's way to them, which can be gone again.

import { api } from "./api.js";
import { h, link, plural, short, when } from "./dom.js";
import {
  badge,
  button,
  code,
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

export async function show(view) {
  await (view.rest.length ? showOne(view) : showAll(view));
}

function health(webhook) {
  if (!webhook.active) return badge("warn", "paused", webhook.paused_because);
  return webhook.failing_since ? badge("bad", "failing") : badge("good", "active");
}

const goal = (webhook) => (webhook.command ? webhook.command.join(" ") : webhook.url);

async function showAll(view) {
  const list = h("div", {});
  view.main.replaceChildren(
    head("Webhooks", "Who is told of what, and whether it gets through. Each is told only what its owner may read."),
    list,
  );
  await fillIn(
    list,
    async () => {
      const webhooks = await api.all("/v1/webhooks", {}, 2000, view.signal);
      if (!webhooks.length) return empty("No webhooks", "POST /v1/webhooks or waypost webhook add makes one.");
      return table(
        "Webhooks",
        [
          ["Name", (one) => h("a", { href: link(["webhooks", one.id]) }, one.name || one.id)],
          ["State", health],
          ["To", (one) => code(short(goal(one), 60)), "wide"],
          ["Paths", (one) => (one.paths.length ? short(one.paths.join(", "), 40) : "all")],
          ["Owner", (one) => one.owner],
          ["Failing since", (one) => (one.failing_since ? when(one.failing_since) : "–")],
        ],
        webhooks,
        { rowClass: (one) => (one.failing_since ? "bad" : one.active ? "" : "warn") },
      );
    },
    view.signal,
  );
}

async function showOne(view) {
  const [id] = view.rest;
  const path = `/v1/webhooks/${encodeURIComponent(id)}`;
  const wanted = view.query.get("state") || "";
  const body = h("div", {});
  const list = h("div", {});
  const fill = () => fillIn(list, () => deliveries(path, wanted, view, fill), view.signal);
  view.main.replaceChildren(body);
  await fillIn(
    body,
    async () => {
      const webhook = await api.get(path, null, view.signal);
      return [
        crumbs([["Webhooks", link("webhooks")], [webhook.name || webhook.id]]),
        head(webhook.name || webhook.id, goal(webhook), ...acts(webhook, path, view, fill)),
        facts([
          ["State", health(webhook)],
          ["Because", webhook.paused_because],
          ["Failing since", webhook.failing_since && when(webhook.failing_since)],
          ["Owner", webhook.owner],
          ["Paths", webhook.paths.length ? webhook.paths.join(", ") : "all that the owner may read"],
          ["Kinds", webhook.kinds.length ? webhook.kinds.join(", ") : "all"],
          ["Form", webhook.format],
          ["Made", when(webhook.created_at)],
        ]),
        section(
          "Deliveries",
          { aside: button("Look again", fill, { class: "quiet" }) },
          tabs(
            "States",
            ["all", "pending", "delivered", "dead"].map((name) => [
              name,
              link(["webhooks", id], { state: name === "all" ? "" : name }),
            ]),
            wanted || "all",
          ),
          list,
        ),
      ];
    },
    view.signal,
  );
  view.live(() => true, fill);
  await fill();
}

function acts(webhook, path, view, fill) {
  const change = async (body, words) => {
    await api.patch(path, body);
    toast(words, "good");
    await view.again();
  };
  return [
    button("Send a test", async () => {
      const attempt = await api.post(`${path}/ping`);
      toast(
        attempt.error
          ? `Nothing came back: ${attempt.error}`
          : `It answered ${attempt.status} after ${attempt.took_ms} ms`,
        attempt.status >= 200 && attempt.status < 300 ? "good" : "bad",
      );
    }),
    button("Replay the dead", async () => {
      const { replayed } = await api.post(`${path}/replay`, { state: "dead" });
      toast(`${plural(replayed, "delivery", "deliveries")} back in the line`, "good");
      await fill();
    }),
    webhook.active
      ? button("Pause", async () => {
          if (await confirm("Pause this webhook?", { text: "Events wait for it meanwhile.", yes: "Pause" }))
            await change({ active: false }, "Paused");
        })
      : button("Resume", () => change({ active: true }, "Resumed"), { class: "primary" }),
  ];
}

async function deliveries(path, wanted, view, fill) {
  const { items, next_cursor: more } = await api.get(
    `${path}/deliveries`,
    { state: wanted, limit: 100 },
    view.signal,
  );
  if (!items.length) return empty(wanted ? `No delivery is ${wanted}` : "Nothing was sent yet");
  const replay = (one) =>
    button(
      "Replay",
      async () => {
        await api.post(`${path}/deliveries/${encodeURIComponent(one.id)}/replay`);
        toast("Back in the line", "good");
        await fill();
      },
      { "aria-label": `Replay ${one.event} ${one.path}` },
    );
  const line = (one) =>
    h(
      "li",
      { class: ["delivery", one.state] },
      h(
        "details",
        {},
        h(
          "summary",
          {},
          state(one.state),
          h("span", { class: "event of-file" }, one.event),
          h("span", { class: "grow" }, short(one.path, 60)),
          h("span", { class: "fine" }, plural(one.attempts, "try", "tries"), " · ", when(one.updated_at)),
        ),
        facts([
          ["Delivery", code(one.id)],
          ["Event", code(one.event_id)],
          ["Next try", one.next_attempt_at && when(one.next_attempt_at)],
          ["Last error", one.last_error],
        ]),
        h("ol", { class: "story" }, one.log.map(attempt)),
      ),
      replay(one),
    );
  return [
    h("ol", { class: "deliveries" }, items.map(line)),
    more && h("p", { class: "fine" }, "The newest 100 are shown."),
  ];
}

function attempt(one) {
  return h(
    "li",
    {},
    h("span", { class: "event" }, one.status === null ? "no answer" : String(one.status)),
    h("span", {}, one.error || ""),
    h("span", { class: "fine" }, when(one.at), ` · ${one.took_ms} ms`),
    one.answer && pre(one.answer, "What it answered"),
  );
}

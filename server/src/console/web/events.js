// Events as lines: what happened, to what, by whom.

import { fileLink, h, link, short, when } from "./dom.js";

function placeOf(event) {
  const data = event.data || {};
  if (event.event.startsWith("task.") && data.task_id)
    return h("a", { href: link(["tasks", data.task_id]) }, short(data.title || event.path, 60));
  if (event.event === "agent.dispatched" && data.task_id)
    return h("a", { href: link(["tasks", data.task_id]) }, `${short(data.title, 50)} → ${data.agent}`);
  if (event.event.startsWith("approval.") && data.approval)
    return h("a", { href: link(["approvals", data.approval]) }, short(event.path, 60));
  if (!event.path.startsWith("/")) return h("span", {}, short(event.path, 60));
  // What is gone can be brought back from there.
  if (event.event === "file.deleted")
    return h("a", { href: fileLink(event.path, { tab: "versions" }) }, short(event.path, 60));
  if (event.event.startsWith("file.")) return h("a", { href: fileLink(event.path) }, short(event.path, 60));
  return h("span", {}, short(event.path, 60));
}

/** One event as an item of a list. */
export function eventLine(event) {
  const [family] = event.event.split(".");
  return h(
    "li",
    {},
    h("span", { class: ["event", `of-${family}`] }, event.event),
    placeOf(event),
    h(
      "span",
      { class: "fine" },
      event.from && [`from ${short(event.from, 50)} · `],
      event.actor,
      " · ",
      when(event.occurredAt),
    ),
  );
}

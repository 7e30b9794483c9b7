// Budgets and usage: what may be spent, what was, and by whom.

import { api } from "./api.js";
import { bytes, count, h, link, usd, when } from "./dom.js";
import { bars, shares, track } from "./chart.js";
import { badge, choice, code, empty, field, fillIn, head, section } from "./ui.js";

const UNITS = {
  usd: ["US dollars", usd],
  calls: ["Calls", count],
  tokens: ["Tokens", count],
  bytes: ["Bytes", bytes],
};
const DAYS = 30;

export async function show(view) {
  const unit = Object.hasOwn(UNITS, view.query.get("unit") || "") ? view.query.get("unit") : "calls";
  const [budgets, charts] = [h("div", {}), h("div", {})];
  const pick = choice(
    Object.entries(UNITS).map(([key, [words]]) => [key, words]),
    unit,
    {
      onchange: (event) => {
        location.hash = link("usage", { unit: event.target.value });
      },
    },
  );
  view.main.replaceChildren(
    head("Budgets & usage", "What may be spent in a day, and what the last thirty days took."),
    section("Budgets", {}, budgets),
    section("Usage", { aside: h("div", { class: "inline" }, field("Unit", pick)) }, charts),
  );
  await Promise.all([
    fillIn(
      budgets,
      async () => {
        const all = await api.all("/v1/budgets", {}, 1000, view.signal);
        return all.length
          ? h("ul", { class: "cards" }, all.map(budget))
          : empty("No budgets", "POST /v1/budgets sets one, for a principal, a group or everybody.");
      },
      view.signal,
    ),
    fillIn(charts, () => usage(view, unit), view.signal),
  ]);
}

function budget(one) {
  const { used, reserved, left, resets_at: resets, warnings } = one.state;
  const target = one.target && Object.entries(one.target)[0];
  const line = ([unit, limit]) => {
    const taken = Number(used[unit] || 0) + Number(reserved[unit] || 0);
    const share = Number(limit) > 0 ? taken / Number(limit) : 1;
    const [, words] = UNITS[unit];
    return h(
      "div",
      { class: "budget-line" },
      h(
        "span",
        { class: "row between" },
        h("span", {}, UNITS[unit][0]),
        h("span", {}, `${words(taken)} of ${words(limit)}`),
      ),
      track(share, share >= 1 ? "bad" : warnings.includes(unit) ? "warn" : "good"),
      h("span", { class: "fine" }, `${words(left[unit])} left`),
    );
  };
  return h(
    "li",
    { class: "card" },
    h("span", { class: "row between" }, h("strong", {}, one.holder), badge("", `a ${one.period}`)),
    target && h("span", { class: "fine" }, `${target[0]} `, code(target[1])),
    one.note && h("span", { class: "fine" }, one.note),
    Object.entries(one.limits).map(line),
    resets && h("span", { class: "fine" }, "begins anew ", when(resets)),
  );
}

async function usage(view, unit) {
  const ask = (group_by) => api.get("/v1/usage", { group_by, limit: 1000 }, view.signal);
  const [days, principals, targets] = await Promise.all(["day", "principal", "target"].map(ask));
  const [title, words] = UNITS[unit];
  const byDay = new Map(days.items.map((item) => [item.day, Number(item[unit] || 0)]));
  const points = Array.from({ length: DAYS }, (_, at) => {
    const day = new Date(Date.parse(`${days.to}T00:00:00Z`) - (DAYS - 1 - at) * 86400000).toISOString().slice(0, 10);
    return { label: day, value: byDay.get(day) || 0 };
  });
  const items = (reply, name) =>
    reply.items
      .map((item) => ({ label: item[name], value: Number(item[unit] || 0) }))
      .filter((item) => item.value > 0);
  return [
    bars(`${title} by day`, points, words),
    h(
      "div",
      { class: "two" },
      shares("By principal", items(principals, "principal"), words),
      shares("By tool or agent", items(targets, "target"), words),
    ),
    days.total.failures > 0 && h("p", { class: "note warn" }, `${count(days.total.failures)} of the calls failed.`),
  ];
}

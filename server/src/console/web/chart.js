// Charts, drawn from nodes. Each says in words what it shows, for those who can't see it.

import { h, s } from "./dom.js";

const WIDE = 720;
const HIGH = 180;
const PAD = { left: 56, right: 8, top: 10, bottom: 24 };

/** Bars over days: `points` are `{label, value}`; `words` says a value. */
export function bars(title, points, words) {
  const most = niceTop(Math.max(0, ...points.map((point) => point.value)));
  const inner = { width: WIDE - PAD.left - PAD.right, height: HIGH - PAD.top - PAD.bottom };
  const step = inner.width / Math.max(1, points.length);
  const y = (value) => PAD.top + inner.height * (1 - value / most);
  const bar = (point, at) =>
    s(
      "rect",
      {
        class: "column",
        x: PAD.left + at * step + step * 0.14,
        y: y(point.value),
        width: step * 0.72,
        height: Math.max(point.value > 0 ? 1.5 : 0, PAD.top + inner.height - y(point.value)),
        rx: 2,
      },
      s("title", {}, `${point.label}: ${words(point.value)}`),
    );
  const level = (share) =>
    s(
      "g",
      {},
      s("line", { class: "grid-line", x1: PAD.left, x2: WIDE - PAD.right, y1: y(most * share), y2: y(most * share) }),
      s(
        "text",
        { class: "axis", x: PAD.left - 8, y: y(most * share) + 4, "text-anchor": "end" },
        words(most * share),
      ),
    );
  const each = Math.max(1, Math.ceil(points.length / 8));
  const name = (point, at) =>
    at % each === 0 &&
    s(
      "text",
      { class: "axis", x: PAD.left + at * step + step / 2, y: HIGH - 6, "text-anchor": "middle" },
      point.label.slice(5),
    );
  const total = points.reduce((sum, point) => sum + point.value, 0);
  const said = `${title}: ${words(total)} in ${points.length} days, most ${words(Math.max(0, ...points.map((point) => point.value)))} in one.`;
  return h(
    "figure",
    { class: "chart" },
    h("figcaption", {}, title, h("strong", {}, words(total))),
    s(
      "svg",
      { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": said },
      [0, 0.5, 1].map(level),
      points.map(bar),
      points.map(name),
    ),
  );
}

/** Shares of a whole as rows, largest first: `items` are `{label, value}`. */
export function shares(title, items, words) {
  const most = Math.max(0, ...items.map((item) => item.value)) || 1;
  const rows = items.toSorted((a, b) => b.value - a.value).slice(0, 12);
  return h(
    "figure",
    { class: "chart" },
    h("figcaption", {}, title),
    rows.length
      ? h(
          "ul",
          { class: "shares" },
          rows.map((item) =>
            h(
              "li",
              {},
              h("span", { class: "share-name", title: item.label }, item.label),
              track(item.value / most, ""),
              h("span", { class: "share-value" }, words(item.value)),
            ),
          ),
        )
      : h("p", { class: "fine" }, "Nothing was used."),
  );
}

/** A track that is filled to a share. */
export function track(share, kind) {
  const width = Math.round(1000 * Math.max(0, Math.min(1, share)));
  return s(
    "svg",
    { class: ["track", kind], viewBox: "0 0 1000 10", preserveAspectRatio: "none", "aria-hidden": "true" },
    s("rect", { class: "track-back", width: 1000, height: 10, rx: 5 }),
    s("rect", { class: "track-fill", width, height: 10, rx: 5 }),
  );
}

/** The next number up that people like to read. */
function niceTop(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((top) => top >= value);
}

// The files: folders to walk through, and a file with its contents, its versions and what changed between them.

import { api } from "./api.js";
import { contents } from "./contents.js";
import { apiPath, bytes, count, date, fileLink, h, link, short, when } from "./dom.js";
import { diff } from "./text.js";
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
  problem,
  state,
  table,
  tabs,
  toast,
} from "./ui.js";

export async function show(view) {
  const path = `/${view.rest.join("/")}`;
  const body = h("div", {});
  view.main.replaceChildren(body);
  await fillIn(
    body,
    async () => {
      if (!view.rest.length) return top(view);
      const version = view.query.get("version");
      const info = await api.tolerant(api.get(`/v1/info/${apiPath(path)}`, null, view.signal));
      // A file that is gone may still have versions to read.
      if (info.refused && !version && view.query.get("tab") !== "versions") return gone(path, info.refused);
      return info.value?.kind === "folder" ? folder(view, path) : file(view, path, info.value);
    },
    view.signal,
  );
  view.afterShow?.();
}

/** What is hidden and what is not there are told alike, so the way to older versions is shown for both. */
function gone(path, refused) {
  if (refused.status !== 404) throw refused;
  return [
    trail(path),
    problem(refused),
    h(
      "p",
      {},
      "A file that was here once may be brought back: ",
      h("a", { href: fileLink(path, { tab: "versions" }) }, "its versions"),
    ),
  ];
}

async function top(view) {
  const workspaces = await api.all("/v1/workspaces", {}, 2000, view.signal);
  return [
    head("Files", "The workspaces that this token may look into."),
    workspaces.length
      ? h(
          "ul",
          { class: "cards" },
          workspaces.map((one) =>
            h(
              "li",
              {},
              h(
                "a",
                { class: "card", href: link(["files", one.name]) },
                h("strong", {}, one.name),
                h("span", {}, `${count(one.indexed_files + one.skipped_files)} files, ${bytes(one.size_bytes)}`),
                h(
                  "span",
                  { class: "fine" },
                  one.attached ? "an attached folder" : "in the home",
                  one.intelligence ? "" : ", not indexed",
                ),
              ),
            ),
          ),
        )
      : empty("No workspace is yours to see", "Somebody who manages the home can grant this token a path."),
  ];
}

function trail(path) {
  const parts = path.split("/").filter(Boolean);
  return crumbs([
    ["Files", link("files")],
    ...parts.map((part, at) => [part, link(["files", ...parts.slice(0, at + 1)])]),
  ]);
}

async function folder(view, path) {
  const entries = await api.all(`/v1/list/${apiPath(path)}`, {}, 5000, view.signal);
  view.live((event) => event.path.startsWith(`${path}/`) || event.from?.startsWith(`${path}/`), view.again);
  return [
    trail(path),
    head(path.split("/").pop(), null),
    entries.length
      ? table(
          "Files and folders",
          [
            ["Name", (entry) => h("a", { class: entry.kind, href: fileLink(entry.path) }, entry.name), "wide"],
            ["Kind", (entry) => entry.kind],
            ["Size", (entry) => bytes(entry.size), "number"],
          ],
          entries,
        )
      : empty("An empty folder"),
    entries.cut && h("p", { class: "fine" }, "There are more than fit here."),
  ];
}

async function file(view, path, info) {
  const tab = view.query.get("tab") || "contents";
  const version = view.query.get("version");
  const isOld = version && version !== info?.version;
  const make = { versions, changes, about }[tab] || contents;
  const part = await make(view, path, info);
  view.live((event) => event.path === path || event.from === path, view.again);
  return [
    trail(path),
    head(
      path.split("/").pop(),
      isOld ? `As of version ${version.slice(0, 12)}` : null,
      (info || version) && button("Download", () => download(path, version, view.signal)),
    ),
    isOld &&
      h(
        "p",
        { class: "note warn" },
        info ? "This is an older version; the file has moved on. " : "The file is gone; this is a version of it. ",
        info && h("a", { href: fileLink(path) }, "See the newest"),
      ),
    !info &&
      !version &&
      h("p", { class: "note warn" }, "The file is gone. Each version that is kept can be brought back."),
    tabs(
      "Of this file",
      [
        (info || version) && ["contents", fileLink(path, { version: isOld ? version : "" })],
        ["versions", fileLink(path, { tab: "versions" })],
        ["changes", fileLink(path, { tab: "changes" })],
        info && ["about", fileLink(path, { tab: "about" })],
      ],
      tab,
    ),
    part,
  ];
}

async function download(path, version, signal) {
  const response = await api.raw(`/v1/files/${apiPath(path)}`, { version }, {}, signal);
  // As bytes of no kind: a browser that opened it would run nothing.
  const address = URL.createObjectURL(new Blob([await response.arrayBuffer()], { type: "application/octet-stream" }));
  h("a", { href: address, download: path.split("/").pop() }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

async function versions(view, path, info) {
  const all = await api.all(`/v1/versions/${apiPath(path)}`, {}, 2000, view.signal);
  const restore = (one) =>
    button("Restore", async () => {
      const sure = await confirm("Bring this version back?", {
        text: `${path} becomes what it was at ${date(one.at)}. ${info ? "The version of today stays in the history." : ""}`,
        yes: "Restore",
      });
      if (!sure) return;
      await api.post("/v1/restore", { path, version: one.version, expected_version: info?.version });
      toast("Restored", "good");
      await view.again();
    });
  return table(
    "Versions, newest first",
    [
      [
        "Version",
        (one) =>
          one.version && one.available
            ? h("a", { href: fileLink(path, { version: one.version }) }, code(one.version.slice(0, 12)))
            : one.version
              ? code(one.version.slice(0, 12))
              : "–",
      ],
      [
        "What",
        (one) => [
          h("span", {}, one.event.replace("file.", "")),
          one.other_path && h("span", { class: "fine" }, ` ${short(one.other_path, 50)}`),
        ],
      ],
      ["Size", (one) => bytes(one.size), "number"],
      [
        "By",
        (one) => [one.actor, one.approved_by && h("span", { class: "fine" }, ` (let through by ${one.approved_by})`)],
      ],
      ["When", (one) => when(one.at)],
      [
        "",
        (one) =>
          one.current
            ? badge("good", "newest")
            : !one.version
              ? null
              : one.available
                ? h(
                    "span",
                    { class: "row" },
                    info?.version &&
                      h(
                        "a",
                        { class: "button", href: fileLink(path, { tab: "changes", from: one.version }) },
                        "Compare",
                      ),
                    restore(one),
                  )
                : badge("", "pruned"),
      ],
    ],
    all,
  );
}

async function changes(view, path, info) {
  const all = await api.all(`/v1/versions/${apiPath(path)}`, {}, 2000, view.signal);
  const kept = all.filter((one) => one.version && one.available);
  const names = [...new Map(kept.map((one) => [one.version, one])).values()];
  if (names.length < 2) return empty("Only one version so far", "Once the file changes, the differences are here.");
  const from = view.query.get("from") || names[1].version;
  const to = view.query.get("to") || info?.version || names[0].version;
  const options = names.map((one) => [one.version, `${one.version.slice(0, 12)} · ${date(one.at)}`]);
  const pick = (id, words, value, name) =>
    h(
      "div",
      { class: "field" },
      h("label", { for: id }, words),
      h(
        "select",
        {
          id,
          onchange: (event) => {
            location.hash = fileLink(path, { tab: "changes", from, to, [name]: event.target.value });
          },
        },
        options.map(([key, text]) => h("option", { value: key, selected: key === value }, text)),
      ),
    );
  const shown = h("div", {});
  await fillIn(
    shown,
    async () => diff((await api.get(`/v1/diff/${apiPath(path)}`, { from, to }, view.signal)).diff),
    view.signal,
  );
  return [h("div", { class: "row" }, pick("from", "From", from, "from"), pick("to", "To", to, "to")), shown];
}

async function about(view, path, info) {
  const { value } = await api.tolerant(api.get(`/v1/index/${apiPath(path)}`, null, view.signal));
  const indexed = value?.items[0];
  return facts([
    ["Path", code(info.path)],
    ["Kind", info.mime_type],
    ["Language", info.language],
    ["Size", bytes(info.size)],
    ["Changed", when(info.modified_at)],
    ["Version", info.version && code(info.version)],
    ["Let through by", info.approved_by],
    ["Index", indexed && state(indexed.state)],
    ["Why", indexed?.reason],
  ]);
}

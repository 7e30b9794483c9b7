// The index: how far it is, and what it has of each file, or why not.

import { api } from "./api.js";
import { bytes, count, fileLink, h, link, plural } from "./dom.js";
import { empty, facts, fillIn, head, section, state, table, tabs } from "./ui.js";

const STATES = ["all", "indexed", "words_only", "pending", "skipped"];

export async function show(view) {
  await (view.rest.length ? showOne(view) : showAll(view));
}

async function showAll(view) {
  const list = h("div", {});
  view.main.replaceChildren(
    head("Index", "What can be found, workspace by workspace. It is made from the files and can be made again."),
    list,
  );
  const fill = () =>
    fillIn(
      list,
      async () => {
        const workspaces = await api.all("/v1/workspaces", {}, 2000, view.signal);
        if (!workspaces.length) return empty("No workspace is yours to see");
        return h(
          "ul",
          { class: "cards" },
          workspaces.map((one) =>
            h(
              "li",
              {},
              h(
                "a",
                { class: "card", href: link(["index", one.name]) },
                h(
                  "span",
                  { class: "row between" },
                  h("strong", {}, one.name),
                  !one.intelligence ? state("off") : one.index.pending_files ? state("pending") : state("indexed"),
                ),
                h("span", {}, `${plural(one.indexed_files, "file")}, ${plural(one.chunks, "passage")}`),
                h(
                  "span",
                  { class: "fine" },
                  one.index.pending_files > 0 && `${count(one.index.pending_files)} on their way, `,
                  `${count(one.skipped_files)} left out, ${bytes(one.size_bytes)}`,
                ),
                one.index.degraded.map((stage) =>
                  h("span", { class: "note warn" }, `${stage.stage}: ${stage.reason}`),
                ),
              ),
            ),
          ),
        );
      },
      view.signal,
    );
  view.live((event) => event.event.startsWith("file.") || event.event === "index.updated", fill);
  await fill();
}

async function showOne(view) {
  const [name] = view.rest;
  const wanted = view.query.get("state") || "all";
  const list = h("div", {});
  view.main.replaceChildren(
    head(`Index of ${name}`, "Where each file stands."),
    h("p", {}, h("a", { href: link("index") }, "All workspaces")),
    tabs(
      "States",
      STATES.map((word) => [word.replace("_", " "), link(["index", name], { state: word === "all" ? "" : word })]),
      wanted.replace("_", " "),
    ),
    list,
  );
  const fill = () =>
    fillIn(
      list,
      async () => {
        const files = await api.all(
          `/v1/index/${encodeURIComponent(name)}`,
          { state: wanted === "all" ? "" : wanted },
          3000,
          view.signal,
        );
        if (!files.length) return empty(wanted === "all" ? "No files" : `No file is ${wanted.replace("_", " ")}`);
        const reasons = Map.groupBy(
          files.filter((file) => file.code),
          (file) => file.code,
        );
        return [
          reasons.size > 0 &&
            section(
              "Why files are left out",
              {},
              facts([...reasons].map(([code, some]) => [code.replaceAll("_", " "), plural(some.length, "file")])),
            ),
          table(
            "Files and what the index has of them",
            [
              ["File", (file) => h("a", { href: fileLink(file.path) }, file.path), "wide"],
              ["State", (file) => state(file.state)],
              ["Why", (file) => file.reason || "–"],
              ["Kind", (file) => file.mime_type],
              ["Language", (file) => file.language || "–"],
              ["Size", (file) => bytes(file.size), "number"],
            ],
            files.slice(0, 1000),
          ),
          (files.cut || files.length > 1000) && h("p", { class: "fine" }, "The first 1,000 are shown."),
        ];
      },
      view.signal,
    );
  view.live((event) => event.path.startsWith(`/${name}/`) || event.event === "index.updated", fill);
  await fill();
}

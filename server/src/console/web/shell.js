// The frame around every page: where one can go, who one is, whether it is live, and the keys for it all.

import { h, link } from "./dom.js";
import { api } from "./api.js";

/** Where one can go: letter after `g`, name, words; by groups. */
export const PLACES = [
  [
    "Look",
    [
      ["o", "overview", "Overview"],
      ["s", "search", "Search & ask"],
      ["f", "files", "Files"],
    ],
  ],
  [
    "Flow",
    [
      ["t", "tasks", "Tasks"],
      ["r", "traces", "Traces"],
      ["w", "webhooks", "Webhooks"],
      ["a", "approvals", "Approvals"],
    ],
  ],
  [
    "Rules",
    [
      ["c", "access", "Access"],
      ["u", "audit", "Audit"],
      ["b", "usage", "Budgets & usage"],
    ],
  ],
  [
    "Machine",
    [
      ["e", "registry", "Registry"],
      ["i", "index", "Index"],
    ],
  ],
];

const THEME = "waypost.theme";
const THEMES = [
  ["auto", "System"],
  ["light", "Light"],
  ["dark", "Dark"],
];

/** Puts the chosen theme on; the system's without a choice. */
export function dress() {
  const theme = localStorage.getItem(THEME) || "auto";
  document.documentElement.dataset.theme = theme;
  return theme;
}

function themeButton() {
  const node = h("button", {
    type: "button",
    class: "quiet theme",
    onclick: () => {
      const at = THEMES.findIndex(([name]) => name === dress());
      localStorage.setItem(THEME, THEMES[(at + 1) % THEMES.length][0]);
      show();
    },
  });
  const show = () => {
    const [name, words] = THEMES.find(([name]) => name === dress()) || THEMES[0];
    node.dataset.theme = name;
    node.replaceChildren(
      h("span", { class: "disc", "aria-hidden": "true" }),
      h("span", { class: "unseen" }, "Theme: "),
      words,
    );
  };
  show();
  return node;
}

function side() {
  const group = ([words, places], at) =>
    h(
      "div",
      { class: "nav-group" },
      h("h2", { class: "nav-title", id: `nav-${at}` }, words),
      h(
        "ul",
        { "aria-labelledby": `nav-${at}` },
        places.map(([, name, words]) =>
          h(
            "li",
            {},
            h(
              "a",
              { href: link(name), "data-place": name },
              h("span", {}, words),
              h("span", { class: "count", hidden: true }),
            ),
          ),
        ),
      ),
    );
  return h(
    "nav",
    { class: "side", id: "side", "aria-label": "Main" },
    PLACES.map(group),
    h("p", { class: "nav-foot" }, h("a", { href: "/docs" }, "API"), " · press ", h("kbd", {}, "?"), " for keys"),
    themeButton(),
  );
}

/** Builds the frame; gives what pages and router need of it. */
export function frame(who, signOut) {
  const main = h("main", { id: "main", tabindex: "-1" });
  const nav = side();
  const menu = h(
    "button",
    {
      type: "button",
      class: "quiet menu",
      "aria-expanded": "false",
      "aria-controls": "side",
      onclick: () => open(nav.dataset.open !== "yes"),
    },
    h("span", { class: "menu-lines", "aria-hidden": "true" }),
    h("span", { class: "unseen" }, "Menu"),
  );
  const open = (isOpen) => {
    nav.dataset.open = isOpen ? "yes" : "no";
    menu.setAttribute("aria-expanded", String(isOpen));
    if (isOpen) nav.querySelector("a")?.focus();
  };
  const box = h("input", {
    type: "search",
    id: "quick",
    placeholder: "Search files",
    autocomplete: "off",
    "aria-label": "Search files",
  });
  const quick = h(
    "form",
    {
      class: "quick",
      role: "search",
      onsubmit: (event) => {
        event.preventDefault();
        box.blur();
        if (box.value.trim()) location.hash = link("search", { q: box.value.trim() });
      },
    },
    box,
    h("kbd", { "aria-hidden": "true" }, "/"),
  );
  const live = h(
    "span",
    { class: "live", role: "status", "data-state": "waiting" },
    h("span", { class: "dot", "aria-hidden": "true" }),
    h("span", { class: "live-words" }, "Connecting"),
  );
  const skip = h(
    "a",
    {
      class: "skip",
      href: "#main",
      onclick: (event) => {
        event.preventDefault();
        main.focus();
      },
    },
    "Skip to content",
  );
  const top = h(
    "header",
    { class: "top" },
    menu,
    h(
      "a",
      { class: "brand", href: link("overview") },
      h("img", { src: "/console/icon.svg", alt: "", width: "26", height: "26" }),
      h("span", {}, "Waypost"),
    ),
    quick,
    live,
    themeButton(),
    h("span", { class: "who", title: who.principal }, who.principal),
    h("button", { type: "button", class: "quiet", id: "sign-out", onclick: signOut }, "Sign out"),
  );
  const toasts = h("div", { id: "toasts", role: "status", "aria-live": "polite" });
  document.body.replaceChildren(skip, top, h("div", { class: "body" }, nav, main), toasts);
  nav.addEventListener("click", (event) => {
    if (event.target.closest("a")) open(false);
  });
  return {
    main,
    /** Marks where one is. */
    at(name) {
      for (const item of nav.querySelectorAll("a[data-place]")) {
        if (item.dataset.place === name) item.setAttribute("aria-current", "page");
        else item.removeAttribute("aria-current");
      }
    },
    live(word) {
      live.dataset.state = word;
      live.lastChild.textContent = word === "live" ? "Live" : "Reconnecting";
    },
    /** How much waits at a place. */
    count(name, number) {
      const node = nav.querySelector(`a[data-place="${name}"] .count`);
      node.hidden = !number;
      node.replaceChildren(String(number), h("span", { class: "unseen" }, " waiting"));
    },
    isMenuOpen: () => nav.dataset.open === "yes",
    closeMenu: () => {
      open(false);
      menu.focus();
    },
    search: () => {
      box.focus();
      box.select();
    },
  };
}

/** The form that takes a token, once. */
export function signInPage(then, reason) {
  const token = h("input", {
    type: "password",
    id: "token",
    name: "token",
    autocomplete: "off",
    spellcheck: "false",
    required: true,
    "aria-describedby": "token-hint",
  });
  const said = h("p", { class: "said", role: "alert" }, reason || "");
  const send = h("button", { type: "submit", class: "primary" }, "Sign in");
  const form = h(
    "form",
    {
      class: "sign-in",
      onsubmit: async (event) => {
        event.preventDefault();
        send.disabled = true;
        said.textContent = "";
        try {
          const opened = await api.signIn(token.value.trim());
          token.value = "";
          then(opened);
        } catch (error) {
          said.textContent = error.status === 401 ? "This token is not known here, or was revoked." : error.message;
          token.focus();
          token.select();
        } finally {
          send.disabled = false;
        }
      },
    },
    h("img", { src: "/console/icon.svg", alt: "", width: "44", height: "44" }),
    h("h1", {}, "Sign in to Waypost"),
    h("p", { class: "lead" }, "Everything here is shown with the rights of the token that you sign in with."),
    h(
      "div",
      { class: "field" },
      h("label", { for: "token" }, "Token"),
      token,
      h(
        "p",
        { class: "fine", id: "token-hint" },
        "It begins with wp_, is sent once and kept nowhere. ",
        h("code", {}, "waypost token add"),
        " makes one.",
      ),
    ),
    said,
    send,
  );
  document.body.replaceChildren(h("main", { class: "lonely" }, form));
  token.focus();
}

/** The keys, as a list. */
export function keys() {
  const row = (keys, words) =>
    h(
      "tr",
      {},
      h(
        "td",
        {},
        keys.map((key) => [h("kbd", {}, key), " "]),
      ),
      h("td", {}, words),
    );
  const rows = [
    row(["/"], "Search"),
    row(["?"], "These keys"),
    row(["Esc"], "Close what is open"),
    ...PLACES.flatMap(([, places]) => places).map(([letter, , words]) => row(["g", letter], words)),
  ];
  const box = h(
    "dialog",
    { "aria-labelledby": "keys-title", onclose: () => box.remove() },
    h(
      "form",
      { method: "dialog" },
      h("h2", { id: "keys-title" }, "Keys"),
      h("table", { class: "keys" }, h("tbody", {}, rows)),
      h("div", { class: "actions" }, h("button", { class: "primary" }, "Close")),
    ),
  );
  document.body.append(box);
  box.showModal();
}

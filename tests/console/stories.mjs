// What people do with the console, each from the first page on.

import { HOSTILE, settled, until } from "./home.mjs";

export const STORIES = {
  async "sign in and out"({ page, context, home, check, shot, signIn }) {
    await page.goto(home.url);
    await page.getByLabel("Token").fill("wp_00000000_nothing");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("This token is not known here").waitFor();
    await shot("sign-in");
    await signIn();
    const cookies = await context.cookies();
    check(
      cookies.length === 1 && cookies[0].httpOnly && cookies[0].sameSite === "Strict",
      `the cookie is hidden and strict: ${JSON.stringify(cookies)}`,
    );
    const kept = await page.evaluate(() =>
      JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]),
    );
    check(!kept.includes(home.token) && !cookies[0].value.includes(home.token), "the token is kept nowhere");
    await page.reload();
    await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByText("You are signed out").waitFor();
    check((await context.cookies()).length === 0, "the cookie is gone");
  },

  async "search and open a citation at its lines"({ page, check, shot, signIn }) {
    await signIn();
    await page.keyboard.press("/");
    await page.keyboard.type("zephyrine launch");
    await page.keyboard.press("Enter");
    const hit = page.locator(".hit").first();
    await hit.locator("mark").first().waitFor();
    await shot("search");
    await hit.locator(".hit-title").click();
    const cited = page.locator("#cited");
    await cited.waitFor();
    check(
      (await page.locator(".lines .marked").allTextContents()).join("\n").includes("zephyrine launch is on Tuesday"),
      "the cited lines are marked",
    );
    check(
      await cited.evaluate((node) => {
        const { top, bottom } = node.getBoundingClientRect();
        return top >= 0 && bottom <= innerHeight;
      }),
      "and in view",
    );
    check(page.url().includes("lines=") && page.url().includes("version="), "the address says where");
    await shot("citation");
  },

  async "citations of a PDF and of a web page open in their text, also after a reload"({
    page,
    home,
    check,
    shot,
    signIn,
  }) {
    await signIn();
    for (const [name, words, quote, where] of [
      ["ferry.pdf", "quokkaline", "The quokkaline ferry sails at noon.", "page 2, line"],
      ["fair.html", "velocipedal", "The velocipedal contest begins at nine.", "line"],
    ]) {
      const path = `/board/papers/${name}`;
      await until(
        () => home.ask("POST", "/v1/search", { query: words, mode: "lexical" }),
        ({ results }) => results[0]?.citation.path === path,
      );
      await page.goto(`${home.url}/#/search?q=${words}&mode=lexical`);
      const hit = page.locator(".hit").first();
      await hit.locator(".path", { hasText: `${path} · ${where}` }).waitFor();
      await hit.locator(".hit-title").click();
      for (const time of ["opened", "loaded again"]) {
        if (time === "loaded again") await page.reload();
        const cited = page.locator("#cited");
        await cited.waitFor();
        await page.locator("#read-out", { hasText: "Extracted text" }).waitFor();
        const marked = (await page.locator(".lines .marked .line").allTextContents()).join("\n");
        check(marked.includes(quote), `${name}, ${time}: what is cited is marked: ${marked}`);
        check(!/<|first boat/.test(marked), `${name}, ${time}: and nothing else: ${marked}`);
        check(
          await cited.evaluate((node) => {
            const { top, bottom } = node.getBoundingClientRect();
            return top >= 0 && bottom <= innerHeight;
          }),
          `${name}, ${time}: and in view`,
        );
        await page.getByText(`cited: ${where}`).waitFor();
      }
      await shot(`citation-${name.split(".")[1]}`);
      await page.getByRole("link", { name: "Show the file itself" }).click();
      await page.getByRole("link", { name: "Show the text in it" }).click();
      await page.locator("#read-out").waitFor();
      check((await page.locator(".lines .marked").count()) === 0, "nothing is cited then");
    }
    // A place alone, as somebody may send it.
    await page.goto(`${home.url}/#/files/board/papers/ferry.pdf?page=2`);
    await page.locator("#cited", { hasText: "Winter" }).waitFor();
    await page.locator(".lines .place", { hasText: "page 2" }).waitFor();
  },

  async "a citation far down in a long file"({ page, home, check, signIn }) {
    await signIn();
    await home.ask("POST", "/v1/workspaces", { name: "long" });
    await home.ask("PATCH", "/v1/workspaces/long", { intelligence: false });
    const text = Array.from({ length: 50_000 }, (_, at) => `${at + 1}: ${"-".repeat(60)}\n`).join("");
    await home.ask("PUT", "/v1/files/long/log.txt", text);
    await page.goto(`${home.url}/#/files/long/log.txt?lines=47000-47001`);
    await page.locator("#cited").waitFor();
    const marked = await page.locator(".lines .marked .line").allTextContents();
    check(marked.length === 2 && marked[0].startsWith("47000: "), `the cited lines are marked: ${marked}`);
    check((await page.locator("#read-out").count()) === 0, "the text of the file is its own");
    await page.goto(`${home.url}/#/files/long/log.txt?lines=90000`);
    await page.getByText("The text has fewer lines than are cited").waitFor();
    await home.ask("DELETE", "/v1/workspaces/long");
  },

  async "a deleted file is found by its event and brought back"({ page, home, check, shot, signIn }) {
    await signIn();
    await page.getByText("Live", { exact: true }).waitFor();
    await home.ask("PUT", "/v1/files/board/scratch.md", "to be brought back\n");
    await home.ask("DELETE", "/v1/files/board/scratch.md");
    const told = page.locator(".feed li", { hasText: "file.deleted" }).first();
    await told.getByRole("link", { name: "/board/scratch.md" }).click();
    await page.getByText("The file is gone").waitFor();
    await shot("deleted");
    await page.getByRole("button", { name: "Restore" }).first().click();
    await page.getByRole("dialog").getByRole("button", { name: "Restore" }).click();
    await page.getByText("Restored").waitFor();
    check((await home.ask("GET", "/v1/files/board/scratch.md")) === "to be brought back\n", "it is back");
    await home.ask("DELETE", "/v1/files/board/scratch.md");
    await page.goto(`${home.url}/#/files/board/scratch.md`);
    await page.getByRole("link", { name: "its versions" }).click();
    await page.getByText("The file is gone").waitFor();
  },

  async "ask and open a source"({ page, check, shot, signIn }) {
    await signIn();
    await page.keyboard.press("g");
    await page.keyboard.press("s");
    await page.locator("#q").fill("Why did some hubs stay online when the device certificate expired in February?");
    await page.getByRole("button", { name: "Ask" }).click();
    await page.locator(".answer-text").waitFor();
    await page.locator(".answer .mark").first().waitFor();
    await page.getByRole("button", { name: "Check the quotes" }).click();
    await page.getByText("hold, byte for byte").waitFor();
    await shot("ask");
    await page.locator(".answer .mark").first().click();
    await page.locator("#cited").waitFor();
    check((await page.locator(".lines .marked").count()) > 0, "the source is open at its lines");
  },

  async "approve a pending move and see the file move"({ page, home, known, check, shot, signIn }) {
    await signIn();
    await page.keyboard.press("g");
    await page.keyboard.press("a");
    await page.getByText("Nothing waits for a decision").waitFor();
    // The agent waits for what becomes of its wish.
    const agent = home.as(known.writer);
    const { next } = await agent("GET", "/v1/events/wait?timeout_seconds=0");
    const asked = agent("POST", "/v1/move", {
      from: "/board/drafts/notice.md",
      to: "/board/published/notice.md",
    }).catch((error) => error);
    const card = page.locator(".approval", { hasText: "agent:clerk" });
    await card.waitFor();
    await asked;
    await page.locator('.side a[data-place="approvals"] .count:not([hidden])').waitFor();
    await shot("approvals");
    await card.getByRole("button", { name: /^Grant/ }).click();
    await page.getByLabel("Reason, for the record").fill("it reads well");
    await page.getByRole("dialog").getByRole("button", { name: "Grant" }).click();
    await page.getByText("Granted, and done").waitFor();
    await page.getByText("Nothing waits for a decision").waitFor();
    const { items } = await agent(
      "GET",
      `/v1/events/wait?timeout_seconds=20&kinds=file.moved&after=${encodeURIComponent(next)}`,
    );
    check(
      items.length === 1 &&
        items[0].path === "/board/published/notice.md" &&
        items[0].from === "/board/drafts/notice.md",
      `the agent is told of it: ${JSON.stringify(items)}`,
    );
    await page.goto(`${home.url}/#/files/board/published`);
    await page.getByRole("link", { name: "notice.md" }).click();
    await page.getByText("The office is closed on Friday").waitFor();
  },

  async "deny a write, with its differences"({ page, home, known, check, shot, signIn }) {
    const agent = home.as(known.writer);
    await agent("PUT", "/v1/files/board/published/notice.md", "# Notice\n\nThe office is closed for ever.\n").catch(
      () => {},
    );
    await signIn();
    await page
      .locator(".attention")
      .getByRole("link", { name: /published\/notice/ })
      .click();
    await page.locator(".diff .added", { hasText: "closed for ever" }).waitFor();
    await page.locator(".diff .removed", { hasText: "closed on Friday" }).waitFor();
    await shot("approval-diff");
    await page.getByRole("button", { name: /^Deny/ }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Deny" }).click();
    await page.locator(".approval .badge", { hasText: "denied" }).waitFor();
    check((await home.ask("GET", "/v1/files/board/published/notice.md")).includes("Friday"), "nothing was written");
  },

  async "replay a delivery"({ page, home, known, receiver, check, shot, signIn }) {
    const path = `/v1/webhooks/${known.webhook.id}/deliveries`;
    await until(
      () => home.ask("GET", path),
      ({ items }) => items.some((one) => one.attempts > 0),
    );
    await signIn();
    await page.keyboard.press("g");
    await page.keyboard.press("w");
    await page.getByRole("link", { name: "the archive" }).click();
    const delivery = page.locator(".delivery").first();
    await delivery.waitFor();
    await delivery.locator("summary").click();
    await delivery.locator(".story li").first().waitFor();
    await shot("webhook");
    // The endpoint said that it is gone, so it is paused; now it is back.
    receiver.isOpen = true;
    await page.getByRole("button", { name: "Resume" }).click();
    await page.getByText("Resumed").waitFor();
    await until(
      () => receiver.told.length,
      (many) => many === 1,
    );
    await until(
      () => home.ask("GET", path),
      ({ items }) => items.every((one) => one.state === "delivered"),
    );
    await page.getByRole("button", { name: "Look again" }).click();
    await page
      .locator(".delivery.delivered")
      .first()
      .getByRole("button", { name: /^Replay/ })
      .click();
    await page.getByText("Back in the line").waitFor();
    await until(
      () => receiver.told.length,
      (many) => many === 2,
    );
    check(
      receiver.told.every((event) => event.event === "file.created" && event.path === "/board/archive/a.md"),
      "the same event came again",
    );
  },

  async "roll a version back"({ page, home, check, shot, signIn }) {
    await signIn();
    await page.goto(`${home.url}/#/files/board/plan.md?tab=versions`);
    const old = page.locator("tbody tr", { has: page.getByRole("button", { name: "Restore" }) }).first();
    await old.getByRole("link", { name: "Compare" }).click();
    await page.locator(".diff .removed", { hasText: "Monday" }).waitFor();
    await page.locator(".diff .added", { hasText: "Tuesday" }).waitFor();
    await shot("differences");
    await page.getByRole("link", { name: "Versions" }).click();
    await shot("versions");
    await page.getByRole("button", { name: "Restore" }).first().click();
    await page.getByRole("dialog").getByRole("button", { name: "Restore" }).click();
    await page.getByText("Restored").waitFor();
    await until(
      () => page.locator("tbody tr").count(),
      (rows) => rows === 3,
    );
    check((await home.ask("GET", "/v1/files/board/plan.md")).includes("Monday"), "the file is what it was");
    await home.ask(
      "PUT",
      "/v1/files/board/plan.md",
      "# Plan\n\nThe zephyrine launch is on Tuesday.\nNobody else knows.\n",
    );
  },

  async "a restricted token sees nothing hidden"({ page, home, known, check, shot, signIn }) {
    await signIn(known.restricted);
    const text = async () => (await page.locator("body").innerText()).toLowerCase();
    const places = [
      "overview",
      "files",
      "search?q=zephyrine",
      "tasks",
      "traces",
      "webhooks",
      "approvals",
      "audit",
      "registry",
      "registry/tools",
      "registry/lint",
      "access",
      "access/grants",
      "access/tokens",
      "index",
      "usage",
      "files/board/plan.md",
      "files/finance",
      `tasks/${known.task.task_id}`,
      `webhooks/${known.webhook.id}`,
      "traces/trace-console",
      "agent/agent:stuck",
      "index/board",
    ];
    for (const place of places) {
      await page.goto(`${home.url}/#/${place}`);
      await settled(page);
      const seen = (await text()).replace("zephyrine", "");
      for (const hidden of [
        "nobody else knows",
        "launch is on",
        "paper jam",
        "weekly letter",
        "agent:clerk",
        "payroll",
        "spring fair",
        "the archive",
      ])
        check(!seen.includes(hidden), `${place} shows “${hidden}”`);
      if (place === "audit") {
        check(seen.includes("not yours to see"), "a refusal is kind");
        await shot("refused");
      }
      if (place === "files/board/plan.md") check(seen.includes("nothing here"), "hidden is as absent");
    }
    await page.goto(`${home.url}/#/files/marketing/brand/voice-guide.md`);
    await page.locator(".lines").waitFor();
  },

  async "hostile files run nothing"({ page, home, check, shot, signIn }) {
    await signIn();
    const clean = async (where) => {
      const found = await page.evaluate(() => ({
        pwned: window.pwned ?? null,
        nodes: document.querySelectorAll(
          "main script, main iframe, main object, main embed, main foreignObject, main img:not([src^='blob:'])",
        ).length,
        links: document.querySelectorAll("a[href^='javascript'], a[href^='http']").length,
      }));
      check(found.pwned === null && found.nodes === 0 && found.links === 0, `${where}: ${JSON.stringify(found)}`);
    };
    await page.goto(`${home.url}/#/files/board/hostile`);
    await page.locator("tbody tr").first().waitFor();
    await clean("the folder");
    for (const name of Object.keys(HOSTILE)) {
      await page.goto(`${home.url}/#/files/board/hostile/${encodeURIComponent(name)}`);
      await page.locator(".lines").waitFor();
      await clean(name);
      const reading = page.getByRole("button", { name: "Reading view" });
      if (await reading.count()) {
        await reading.click();
        await page.locator(".reading").waitFor();
        await clean(`${name} for reading`);
        if (name === "evil.md") await shot("hostile");
      }
    }
    await page.goto(`${home.url}/#/search?q=onerror`);
    await page.locator(".hit, .empty").first().waitFor();
    await clean("search");
    // Even asked for by its address a file is no page: the cookie alone opens nothing.
    const direct = await page.goto(`${home.url}/v1/files/board/hostile/evil.html`);
    check(direct.status() === 401, `a file's address answers ${direct.status()}`);
  },

  async "a stuck agent's cause in three clicks"({ page, check, shot, signIn }) {
    await signIn();
    let clicks = 0;
    const click = async (target) => {
      clicks += 1;
      await target.click();
    };
    const said = page.locator(".attention", { hasText: "paper jam in tray 2" });
    await said.first().waitFor();
    check((await said.count()) === 1, "the first page already says why");
    await shot("overview");
    await click(page.locator("table").getByRole("link", { name: "agent:stuck" }));
    await page.locator("#cause", { hasText: "paper jam in tray 2" }).waitFor();
    await shot("agent");
    await click(page.locator("table").getByRole("link", { name: "Print the weekly letter" }));
    await page.locator(".story", { hasText: "paper jam in tray 2" }).waitFor();
    await shot("task");
    check(clicks <= 3, `${clicks} clicks`);
  },

  async "a revoked token ends the sign-in"({ page, home, check, signIn }) {
    const { id, token } = await home.ask("POST", "/v1/tokens", { principal: "human:visitor", name: "short" });
    await signIn(token);
    await home.ask("DELETE", `/v1/tokens/${id}`);
    await page.goto(`${home.url}/#/files`);
    await page.getByText("The sign-in has ended").waitFor();
    check((await page.locator(".side").count()) === 0, "nothing of the pages is left");
  },

  async "keys, focus and the menu of a phone"({ page, home, check, shot, signIn }) {
    await signIn();
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keys" }).waitFor();
    await page.keyboard.press("Escape");
    for (const [letter, heading] of [
      ["t", "Tasks"],
      ["r", "Traces"],
      ["i", "Index"],
      ["o", "Overview"],
    ]) {
      await page.keyboard.press("g");
      await page.keyboard.press(letter);
      await page.getByRole("heading", { name: heading, level: 1 }).waitFor();
      await until(
        () => page.evaluate(() => document.activeElement?.tagName),
        (tag) => tag === "H1",
      );
    }
    await page.reload();
    await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
    await page.locator(".skip").focus();
    await page.keyboard.press("Enter");
    check(
      ((await page.evaluate(() => document.activeElement.id)) === "main" && page.url().endsWith("/")) ||
        page.url().includes("#/"),
      "the skip link leads to the content",
    );
    await page.setViewportSize({ width: 360, height: 740 });
    await shot("phone");
    await page.getByRole("button", { name: "Menu" }).click();
    await shot("phone-menu");
    await page.locator(".side").getByRole("link", { name: "Files" }).click();
    await page.getByRole("heading", { name: "Files", level: 1 }).waitFor();
    for (const place of [
      "overview",
      "files/board/plan.md",
      "tasks",
      "search?q=refund",
      "audit",
      "registry/confusion",
      "usage",
      "agent/agent:stuck",
    ]) {
      await page.goto(`${home.url}/#/${place}`);
      await settled(page);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      check(wide <= 360, `${place} is ${wide} wide on a phone`);
      await shot(`phone-${place.replace(/[^a-z]+/g, "-")}`);
    }
  },
};

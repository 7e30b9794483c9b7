// Runs the stories one after the other, each in a browser context of its own, and says how each ended.

import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { furnish, startHome, startReceiver } from "./home.mjs";
import { STORIES } from "./stories.mjs";
import { LOOKS } from "./looks.mjs";

const tools = createRequire(join(process.env.CONSOLE_TOOLS, "package.json"));
const { chromium } = tools("playwright-core");
const output = process.env.CONSOLE_OUTPUT;

/** What every page may do, checked on each: ask us, and nobody else; run nothing of a file; say nothing to the console. */
function guard(context, home) {
  const faults = [];
  context.on("request", (request) => {
    const address = request.url();
    if (!address.startsWith(home.url) && !address.startsWith("blob:")) faults.push(`asked ${address}`);
  });
  context.on("dialog", (dialog) => {
    faults.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  context.on("weberror", (error) => faults.push(`error: ${error.error().stack}`));
  context.on("console", (message) => {
    if (message.type() === "error" && !/status of 4\d\d|ERR_ABORTED|ERR_CONNECTION/.test(message.text()))
      faults.push(`console: ${message.text()}`);
  });
  return faults;
}

const KINDS = { js: "text/javascript", css: "text/css", svg: "image/svg+xml" };

/** Takes the pages from a folder, to try a change without a build. */
async function fromFolder(context, folder) {
  await context.route("**/console/**", async (route) => {
    const name = new URL(route.request().url()).pathname.slice("/console/".length);
    const response = await route.fetch();
    // A file that the server does not have yet comes as what its name says.
    const contentType = KINDS[name.split(".").pop()];
    await route.fulfill({ response, status: 200, contentType, body: await readFile(join(folder, name)) });
  });
}

function check(condition, words) {
  if (!condition) throw new Error(words);
}

async function signIn(page, home, token) {
  await page.goto(home.url);
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
}

async function main() {
  const wanted = process.argv.slice(2);
  const begun = Date.now();
  const receiver = await startReceiver();
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
  });
  const home = await startHome().catch(async (error) => {
    await browser.close();
    throw error;
  });
  let failed = 0;
  try {
    const known = await furnish(home, receiver);
    console.log(`console: ${home.url}, furnished after ${Date.now() - begun} ms, Chromium ${browser.version()}`);
    const axe = tools.resolve("axe-core/axe.min.js");
    for (const [name, story] of Object.entries({ ...STORIES, ...LOOKS })) {
      if (wanted.length && !wanted.some((part) => name.includes(part))) continue;
      const at = Date.now();
      const context = await browser.newContext({
        viewport: { width: 1360, height: 860 },
        colorScheme: "light",
        reducedMotion: "reduce",
      });
      context.setDefaultTimeout(15_000);
      const faults = guard(context, home);
      if (process.env.CONSOLE_WEB) await fromFolder(context, process.env.CONSOLE_WEB);
      const page = await context.newPage();
      const shot = (file, full = false) => page.screenshot({ path: join(output, `${file}.png`), fullPage: full });
      try {
        await story({
          page,
          context,
          browser,
          home,
          known,
          receiver,
          axe,
          check,
          shot,
          signIn: (token = home.token) => signIn(page, home, token),
        });
        check(!faults.length, faults.join("; "));
        console.log(`  ok    ${name} (${Date.now() - at} ms)`);
      } catch (error) {
        failed += 1;
        console.log(
          `  FAIL  ${name}: ${error.stack}${faults.length ? `\n        ${faults.join("\n        ")}` : ""}`,
        );
        await shot(`failed-${name.replaceAll(" ", "-")}`).catch(() => {});
      }
      await context.close();
    }
  } finally {
    await browser.close();
    receiver.stop();
    await home.stop();
  }
  console.log(
    `console: ${failed ? `${failed} failed` : "all well"}, ${Math.round((Date.now() - begun) / 1000)} s, screenshots in ${output}`,
  );
  process.exitCode = failed ? 1 : 0;
}

await main();

// A real browser for the scripts of this folder: node SCRIPT URL PASSWORD [FOLDER FOR
// SCREENSHOTS]. A script prints one line a step and exits 1 at the first that fails.
import assert from "node:assert/strict";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [url, password, shots] = process.argv.slice(2);
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const args = ["--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
if (process.getuid?.() === 0) args.push("--no-sandbox"); // Chromium refuses its sandbox to root

const context = await chromium.launchPersistentContext("", { // its profile goes when it ends
  executablePath, headless: true, args, viewport: { width: 1440, height: 900 }, locale: "zh-CN",
});
export const page = context.pages()[0] ?? (await context.newPage());
page.setDefaultTimeout(20_000);
// A slow computer: what the page does after its first pictures it does late, when
// answers of the server may have come already.
await page.addInitScript(() => {
  const [frame, timer] = [requestAnimationFrame, setTimeout];
  const late = (f) => timer(f, 400);
  globalThis.requestAnimationFrame = late;
  globalThis.setTimeout = (f, ms, ...rest) => (ms <= 100 ? late(() => f(...rest)) : timer(f, ms, ...rest));
  timer(() => { globalThis.requestAnimationFrame = frame; globalThis.setTimeout = timer; }, 600);
});
const complaints = [];
// Before the login the page asks who is here and is told 401: the one error that belongs.
page.on("console", (m) => m.type() === "error" && !m.location().url.endsWith("/api/v1/session") && complaints.push(m.text()));
page.on("pageerror", (e) => complaints.push(String(e)));
page.on("request", (r) => {
  if (!r.url().startsWith(url) && !r.url().startsWith("data:") && !r.url().startsWith("blob:")) complaints.push("left the machine: " + r.url());
});

/** wanted is the folder for screenshots, if somebody wants them. */
export const wanted = shots;
export const at = (id) => page.getByTestId(id);
export const shot = async (name) => { if (shots) await page.screenshot({ path: join(shots, name + ".png") }); };
export const step = (text) => console.log("ok - " + text);

/** visit logs in, lets story happen, and ends the browser. */
export async function visit(story) {
  try {
    await page.goto(url);
    await at("login-user").fill("admin");
    await at("login-password").fill(password);
    await at("login-submit").click();
    await at("password-later").click();
    step("logged in with the first-start password, change postponed");
    await page.waitForSelector('[data-testid="live-state"][data-state="live"]');
    await story();
    assert.deepEqual(complaints, [], "the browser complained");
    step("no error in the console, nothing left the machine");
  } catch (err) {
    await shot("failed");
    console.error("not ok -", err);
    console.error("the page showed", page.url(), await page.evaluate(() => document.activeElement?.outerHTML.slice(0, 200) + "\n" + document.body.innerText.slice(0, 2000)));
    process.exitCode = 1;
  } finally {
    await context.close();
  }
}

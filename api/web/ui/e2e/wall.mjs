// The video room's first minute, in a real browser: log in, see an alert arrive
// without reload, confirm it with the keyboard, find the event and the coverage.
// Usage: node e2e/wall.mjs URL PASSWORD [FOLDER FOR SCREENSHOTS]
// Prints one line a step; exits 1 at the first that fails.
import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [url, password, shots] = process.argv.slice(2);
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const args = ["--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
if (process.getuid?.() === 0) args.push("--no-sandbox"); // Chromium refuses its sandbox to root

const context = await chromium.launchPersistentContext(mkdtempSync(join(tmpdir(), "sharpeyes-e2e-")), {
  executablePath, headless: true, args, viewport: { width: 1440, height: 900 }, locale: "zh-CN",
});
const page = context.pages()[0] ?? (await context.newPage());
page.setDefaultTimeout(20_000);
const complaints = [];
// Before the login the page asks who is here and is told 401: the one error that belongs.
page.on("console", (m) => m.type() === "error" && !m.location().url.endsWith("/api/v1/session") && complaints.push(m.text()));
page.on("pageerror", (e) => complaints.push(String(e)));
page.on("request", (r) => {
  if (!r.url().startsWith(url) && !r.url().startsWith("data:") && !r.url().startsWith("blob:")) complaints.push("left the machine: " + r.url());
});

const at = (id) => page.getByTestId(id);
const shot = async (name) => { if (shots) await page.screenshot({ path: join(shots, name + ".png") }); };
const step = (text) => console.log("ok - " + text);

try {
  await page.goto(url);
  await at("login-user").fill("admin");
  await at("login-password").fill(password);
  await at("login-submit").click();
  await at("password-later").click();
  step("logged in with the first-start password, change postponed");

  await page.waitForSelector('[data-testid="live-state"][data-state="live"]');
  await page.evaluate(() => { globalThis.notReloaded = true; });
  const ids = () => at("alert-card").evaluateAll((cards) => cards.map((c) => c.dataset.alertId));
  const known = await ids();
  const arrived = await page.waitForFunction(
    (old) => [...document.querySelectorAll('[data-testid="alert-card"]')].map((c) => c.dataset.alertId).find((id) => !old.includes(id)),
    known, { timeout: 60_000 });
  const id = await arrived.jsonValue();
  assert.equal(await page.evaluate(() => globalThis.notReloaded), true);
  step("an alert arrived without reload: " + id);

  await page.locator(`[data-testid="alert-card"][data-alert-id="${id}"]`).click();
  await page.waitForSelector(`[data-testid="preview"][data-alert-id="${id}"]`);
  await page.waitForSelector('[data-testid="preview"] [data-testid="picture"][data-phase="shown"]');
  step("its picture is shown");

  await page.keyboard.press("Enter");
  await at("confirm-dialog").waitFor();
  await page.waitForFunction(() => document.querySelector('[data-testid="confirm-category"]')?.value);
  await page.keyboard.press("Enter");
  await page.waitForSelector(`[data-testid="alert-card"][data-alert-id="${id}"][data-status="confirmed"]`);
  step("confirmed with the keyboard");

  await page.keyboard.press("g");
  await page.keyboard.press("e");
  await at("event-row").first().waitFor();
  assert.equal(await at("event-row").count(), 1);
  await shot("events");
  step("one event stands in the list");

  await page.keyboard.press("g");
  await page.keyboard.press("c");
  await at("coverage-row").first().waitFor();
  const figures = await at("figure").evaluateAll((f) => f.map((x) => x.dataset.id));
  assert.ok(["COV-1", "COV-2", "ONL-1"].every((f) => figures.includes(f)), "figures: " + figures);
  await shot("coverage");
  step("coverage shows " + figures.join(", "));

  await page.keyboard.press("g");
  await page.keyboard.press("d");
  await page.waitForSelector('[data-testid="camera-row"][data-online="yes"]');
  await shot("cameras");
  step("a camera is online");

  await at("devices").waitFor({ timeout: 60_000 }); // the node repeats its report every 30 s, and so does the panel
  await page.locator('[data-testid="devices"] summary').first().click();
  assert.ok(await at("channel-change").count() >= 2, "channels of the recorder that are not configured");
  await shot("devices");
  step("channels that differ from the configuration are shown above the cameras");

  await at("lang").click();
  await page.waitForFunction(() => document.documentElement.lang.startsWith("en"));
  await shot("cameras-en");
  step("the page speaks English");

  if (shots) { // the README's picture: a wall with some alerts on it
    await at("lang").click();
    await page.keyboard.press("g");
    await page.keyboard.press("w");
    await page.waitForFunction(() => document.querySelectorAll('[data-testid="alert-card"]').length >= 6, null, { timeout: 90_000 });
    await page.locator('[data-testid="alert-card"][data-camera="demo-lawn"]').first().click();
    await page.waitForSelector('[data-testid="preview"] [data-testid="picture"][data-phase="shown"]');
    await shot("wall");
  }
  assert.deepEqual(complaints, [], "the browser complained");
  step("no error in the console, nothing left the machine");
} catch (err) {
  await shot("failed");
  console.error("not ok -", err);
  process.exitCode = 1;
} finally {
  await context.close();
}

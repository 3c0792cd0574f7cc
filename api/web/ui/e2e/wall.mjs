// The video room's first minute: log in, see an alert arrive without reload, confirm
// it with the keyboard, find the event and the coverage, ask for a look at a camera.
import assert from "node:assert/strict";
import { at, page, shot, step, visit, wanted } from "./browser.mjs";

await visit(async () => {
  await page.evaluate(() => { globalThis.notReloaded = true; });
  const known = await at("alert-card").evaluateAll((cards) => cards.map((c) => c.dataset.alertId));
  const arrived = await page.waitForFunction( // a fault of a camera has no picture, and is not what is decided here
    (old) => [...document.querySelectorAll('[data-testid="alert-card"]:has([data-testid="picture"])')].map((c) => c.dataset.alertId).find((id) => !old.includes(id)),
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
  await page.waitForFunction(() => document.activeElement?.dataset.testid === "confirm-category" && document.activeElement.value);
  await page.keyboard.press("Enter");
  await page.waitForSelector(`[data-testid="alert-card"][data-alert-id="${id}"][data-status="confirmed"]`);
  await at("confirm-dialog").waitFor({ state: "detached" }); // till then the keys are its own
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

  await page.locator('[data-testid="camera-row"][data-camera="demo-lawn"] [data-testid="wake"]').click();
  const told = at("toast").filter({ hasText: "已通知节点" });
  await told.waitFor();
  await told.evaluate((e) => Promise.all(e.getAnimations().map((a) => a.finished)));
  await shot("wake");
  step("a look at a camera was asked for");

  await at("devices").waitFor({ timeout: 60_000 }); // the node repeats its report every 30 s, and so does the panel
  await page.locator('[data-testid="devices"] summary').first().click();
  assert.ok(await at("channel-change").count() >= 2, "channels of the recorder that are not configured");
  await shot("devices");
  step("channels that differ from the configuration are shown above the cameras");

  await at("lang").click();
  await page.waitForFunction(() => document.documentElement.lang.startsWith("en"));
  await shot("cameras-en");
  step("the page speaks English");

  if (wanted) { // the README's picture: a wall with some alerts on it
    await at("lang").click();
    await page.keyboard.press("g");
    await page.keyboard.press("w");
    await page.waitForFunction(() => document.querySelectorAll('[data-testid="alert-card"]').length >= 6, null, { timeout: 90_000 });
    await page.locator('[data-testid="alert-card"][data-camera="demo-lawn"]').first().click();
    await page.waitForSelector('[data-testid="preview"] [data-testid="picture"][data-phase="shown"]');
    await shot("wall");
  }
});

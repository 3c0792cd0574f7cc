// An administrator finds the one dead letter there is, whose cause is gone, and puts
// it back: node letters.mjs URL PASSWORD [FOLDER]; the alert's ID is in ALERT.
import assert from "node:assert/strict";
import { at, page, shot, step, visit } from "./browser.mjs";

const alert = process.env.ALERT;

await visit(async () => {
  const card = `[data-testid="alert-card"][data-alert-id="${alert}"]`;
  assert.equal(await page.locator(card).count(), 0, "no center could take it");
  await page.keyboard.press("g");
  await page.keyboard.press("l");
  const line = at("letter-row");
  await line.waitFor();
  assert.equal(await line.count(), 1);
  const text = await line.innerText();
  for (const want of ["多次投递失败", "告警", "far-01", "edge-2", "disk full"]) assert.ok(text.includes(want), `${want} in: ${text}`);
  await shot("dead-letters");
  step("the dead letter is listed with its reason");

  await at("requeue").click();
  await line.waitFor({ state: "detached" });
  await at("toast").getByText("已放回队列").waitFor();
  await shot("dead-letters-none");
  step("it was put back and is gone from the list");

  await page.keyboard.press("g");
  await page.keyboard.press("w");
  await page.waitForSelector(card);
  await shot("dead-letter-alert");
  step("its alert stands on the wall");

  await page.keyboard.press("g");
  await page.keyboard.press("r");
  await at("register-row").first().waitFor();
  assert.match(await at("register-row").first().innerText(), /requeue/);
  step("the access register says who put it back");
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { Burst } from "../src/cameras";

test("a burst is one run, and changes without a pause do not put it off", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let runs = 0;
  const burst = new Burst(500, () => { runs++; });
  for (let ms = 0; ms < 2000; ms += 100) {
    burst.touch();
    t.mock.timers.tick(100);
  }
  assert.equal(runs, 4);
  burst.touch();
  t.mock.timers.tick(5000);
  assert.equal(runs, 5, "nothing follows the last");
  burst.touch();
  burst.stop();
  t.mock.timers.tick(5000);
  assert.equal(runs, 5);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { configLines } from "../src/views/devices";
import { what } from "../src/wall/wording";
import type { Alert } from "../src/model";

test("the lines that let a device in hold no password", () => {
  assert.equal(configLines("36112700001180000009"), '- id: "36112700001180000009"\n  password: {env: GB_000009}');
});

test("a device's alarm is named by its kind, else by the device's word; behaviour has no words", () => {
  const alarm = (rule: string, rule_name?: string): Alert => ({ id: "a", camera: "c", rule, rule_name, kind: "device_alarm", level: 3, phase: "opened", start: "", last: "" });
  assert.equal(what(alarm("gb28181-intrusion")), "设备报警:区域入侵");
  assert.equal(what(alarm("gb28181-other", "其他报警")), "设备报警:其他报警");
  assert.equal(what(alarm("gb28181-device_alarm", "徘徊")), "设备报警");
});

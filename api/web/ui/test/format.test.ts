import assert from "node:assert/strict";
import { test } from "node:test";
import { age, clock, parse, percent, roman, score, secondsSince, short, stamp } from "../src/format";

test("age has at most two units, in both languages", () => {
  const table: [number, string, string][] = [
    [0, "0 秒", "0 s"],
    [12.9, "12 秒", "12 s"],
    [59.999, "59 秒", "59 s"],
    [60, "1 分 00 秒", "1 min 00 s"],
    [185, "3 分 05 秒", "3 min 05 s"],
    [3600, "1 小时 00 分", "1 h 00 min"],
    [7440, "2 小时 04 分", "2 h 04 min"],
    [86399, "23 小时 59 分", "23 h 59 min"],
    [3 * 86400 + 7200, "3 天 2 小时", "3 d 2 h"],
    [-5, "0 秒", "0 s"],
    [NaN, "0 秒", "0 s"],
  ];
  for (const [s, zh, en] of table) {
    assert.equal(age(s, "zh"), zh);
    assert.equal(age(s, "en"), en);
  }
});

test("times that are none are none", () => {
  for (const none of [undefined, null, "", "garbage", "0001-01-01T00:00:00Z"]) {
    assert.equal(parse(none), null);
    assert.equal(secondsSince(none, 0), null);
    assert.equal(clock(none), "–");
    assert.equal(stamp(none), "–");
    assert.equal(short(none, 0), "–");
  }
  assert.equal(secondsSince("2025-11-22T00:00:10Z", Date.parse("2025-11-22T00:00:22Z")), 12);
});

test("short leaves out today's date only", () => {
  const now = new Date(2025, 10, 22, 9, 5, 7).getTime();
  assert.equal(short(new Date(2025, 10, 22, 8, 3, 9).toISOString(), now), "08:03:09");
  assert.equal(short(new Date(2025, 10, 21, 23, 59, 59).toISOString(), now), "11-21 23:59:59");
  assert.equal(stamp(now), "2025-11-22 09:05:07");
});

test("a figure without value is N/A, never 100%", () => {
  assert.equal(percent(null), "N/A");
  assert.equal(percent(undefined), "N/A");
  assert.equal(percent(NaN), "N/A");
  assert.equal(percent(0), "0.0%");
  assert.equal(percent(1), "100.0%");
  assert.equal(percent(99822 / 101341), "98.5%");
});

test("score and level", () => {
  assert.equal(score(0.714), "0.71");
  assert.equal(score(0), "");
  assert.equal(score(undefined), "");
  assert.deepEqual([1, 2, 3, 4, 0, 9].map(roman), ["Ⅰ", "Ⅱ", "Ⅲ", "Ⅳ", "–", "–"]);
});

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { fill, known, lang, t, words, type Key } from "../src/i18n";

const names = (s: string): string[] => [...s.matchAll(/\{(\w+)\}/g)].map((m) => m[1] ?? "").sort();

test("every key stands in both languages, with the same arguments", () => {
  assert.deepEqual(Object.keys(words.en).sort(), Object.keys(words.zh).sort());
  for (const key of Object.keys(words.zh) as Key[]) {
    assert.notEqual(words.zh[key].trim(), "", key);
    assert.notEqual(words.en[key].trim(), "", key);
    assert.deepEqual(names(words.en[key]), names(words.zh[key]), key);
  }
});

test("English has no Chinese left in it", () => {
  for (const [key, text] of Object.entries(words.en)) {
    if (key !== "set.lang") assert.doesNotMatch(text, /[\u4e00-\u9fff]/, key);
  }
});

test("every key is used, and every literal key exists", () => {
  const src = path.join(process.cwd(), "src");
  const files = readdirSync(src, { recursive: true }).map(String).filter((f) => /\.tsx?$/.test(f) && !f.startsWith("lang"));
  const text = files.map((f) => readFileSync(path.join(src, f), "utf8")).join("\n");
  // Keys that are put together: t(`x.${y}`), known("x", y).
  const families = new Set([...text.matchAll(/`([a-z.]+)\.\$\{/g), ...text.matchAll(/known\("([a-z]+)"/g)].map((m) => m[1] ?? ""));
  const used = (key: string): boolean => text.includes(`"${key}"`) || [...families].some((f) => key.startsWith(`${f}.`));
  assert.deepEqual(Object.keys(words.zh).filter((k) => !used(k)), []);
});

test("the reasons of the edge all have words", () => {
  const reasons = "starting auth_failed not_found refused unreachable timeout tls_failed no_video_track unsupported_codec bad_stream no_frames no_key_frame frozen undecodable unsupported_size clock_jump ended stopped forbidden substream_only not_offered";
  for (const r of reasons.split(" ")) assert.ok(`why.${r}` in words.zh, r);
});

test("fill and known", () => {
  assert.equal(fill("{a} of {b}, {c}", { a: 1, b: "x" }), "1 of x, {c}");
  lang.set("zh");
  assert.equal(known("class", "person"), "人");
  assert.equal(known("class", "tractor"), "tractor");
  assert.equal(known("class", undefined), "");
  assert.equal(t("live.since", { age: "3 秒" }), "断开 3 秒");
  lang.set("en");
  assert.equal(t("live.since", { age: "3 s" }), "down for 3 s");
  lang.set("zh");
});

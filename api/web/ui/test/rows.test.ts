import assert from "node:assert/strict";
import { test } from "node:test";
import type { Phase, Row, Status } from "../src/model";
import { following, lingerMs, matches, merge, step, sweep, upsert, waiting, type Filter, type Item } from "../src/wall/rows";

const all: Filter = { status: "", division: "", level: 0 };
const fresh: Filter = { ...all, status: "new" };
const at = (s: number): string => new Date(Date.UTC(2025, 10, 22) + s * 1000).toISOString();

function row(id: string, s: number, o: { phase?: Phase; last?: number; status?: Status; level?: number; division?: string; name?: string } = {}): Row {
  return {
    alert: { id, camera: "c", rule: "r", kind: "zone_entry", level: o.level ?? 2, phase: o.phase ?? "opened", start: at(s), last: at(o.last ?? s) },
    status: o.status ?? "new",
    camera: { id: "c", name: o.name ?? "pond", division: o.division ?? "360921100201" },
    received_at: at(s),
    picture_url: "/p",
  };
}

const put = (items: Item[], r: Row, f: Filter = all, cap = 10, now = 0): Item[] => upsert(items, r, f, cap, now).items;
const ids = (items: Item[]): string => items.map((i) => i.row.alert.id).join("");

test("newest first, once each, whatever the order of arrival", () => {
  let items: Item[] = [];
  for (const r of [row("b", 2), row("d", 4), row("a", 1), row("c", 3), row("b", 2)]) items = put(items, r);
  assert.equal(ids(items), "dcba");
});

test("an update does not move its card, and its life never steps back", () => {
  let items = put(put([], row("a", 1)), row("b", 2));
  items = put(items, row("a", 1, { phase: "closed", last: 60 }));
  assert.equal(ids(items), "ba");
  items = put(items, row("a", 1, { phase: "updated", last: 50 }));
  assert.equal(items[1]?.row.alert.phase, "closed");
  items = put(items, row("a", 1, { phase: "updated", last: 50, status: "confirmed" }));
  assert.equal(items[1]?.row.alert.phase, "closed");
  assert.equal(items[1]?.row.status, "confirmed", "the status is the server's word, whatever the phase");
});

test("merge keeps the picture and the name that are known", () => {
  const known = row("a", 1);
  const thin = { ...row("a", 1, { last: 5 }), picture_url: "" };
  assert.equal(merge(known, thin).picture_url, "/p");
});

test("the list is bounded and drops the oldest", () => {
  let items: Item[] = [];
  for (let s = 0; s < 500; s++) items = put(items, row(`x${s}`, s), all, 200);
  assert.equal(items.length, 200);
  assert.equal(items[0]?.row.alert.id, "x499");
  items = upsert(items, row("y", 1000), all, 200, 0, "x300").items;
  assert.equal(items.length, 200);
  assert.equal(items[199]?.row.alert.id, "x300", "the one that is looked at stays");
  assert.equal(items[198]?.row.alert.id, "x302");
  const u = upsert(items, row("old", -1), all, 200, 0);
  assert.equal(u.dropped, true);
  assert.ok(!u.items.some((i) => i.row.alert.id === "old"));
});

test("what is decided lingers, then goes, unless it is looked at", () => {
  let items = put(put([], row("a", 1), fresh), row("b", 2), fresh);
  items = put(items, row("a", 1, { status: "dismissed" }), fresh, 10, 1000);
  assert.equal(ids(items), "ba", "still there: whoever looks at it sees who decided");
  assert.equal(ids(sweep(items, 1000 + lingerMs - 1, "")), "ba");
  assert.equal(ids(sweep(items, 1000 + lingerMs, "a")), "ba");
  assert.equal(ids(sweep(items, 1000 + lingerMs, "b")), "b");
  items = put(items, row("a", 1, { status: "new" }), fresh, 10, 2000);
  assert.equal(ids(sweep(items, 99_000_000, "")), "ba", "undone: it stays");
});

test("sweep gives the same list when nothing goes", () => {
  const items = put([], row("a", 1));
  assert.equal(sweep(items, 1e12, ""), items);
});

test("what does not match is not added", () => {
  const table: [Row, Filter, boolean][] = [
    [row("a", 1, { status: "confirmed" }), fresh, false],
    [row("a", 1), fresh, true],
    [row("a", 1, { level: 3 }), { ...all, level: 2 }, false],
    [row("a", 1), { ...all, division: "360921" }, true],
    [row("a", 1), { ...all, division: "360922" }, false],
  ];
  for (const [r, f, want] of table) {
    assert.equal(matches(r, f), want);
    assert.equal(put([], r, f).length, want ? 1 : 0);
  }
});

test("step stays within the list", () => {
  const items = [row("c", 3), row("b", 2), row("a", 1)].reduce<Item[]>((l, r) => put(l, r), []);
  assert.equal(step(items, "c", 1), "b");
  assert.equal(step(items, "a", 1), "a");
  assert.equal(step(items, "c", -1), "c");
  assert.equal(step(items, "b", Infinity), "a");
  assert.equal(step(items, "b", -Infinity), "c");
  assert.equal(step(items, "gone", 1), "c");
  assert.equal(step([], "a", 1), "");
});

test("after a decision the next waiting alert is chosen, older first", () => {
  const list = (states: string): Item[] =>
    [...states].reduce<Item[]>((l, s, i) => put(l, row(String(i), 100 - i, { status: s === "n" ? "new" : "dismissed" })), []);
  assert.equal(following(list("ndnn"), "1"), "2");
  assert.equal(following(list("nddd"), "3"), "0");
  assert.equal(following(list("dddd"), "2"), "2");
  assert.equal(following(list("dnd"), "gone"), "1");
  assert.equal(waiting(list("ndnn")), 3);
});

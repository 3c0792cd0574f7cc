import assert from "node:assert/strict";
import { test } from "node:test";
import { append } from "../src/resource";

type P = { items: number[]; next?: string; total: number };

test("an older page goes behind what is shown, which then ends where the page does", () => {
  const first: P = { items: [5, 4], next: "4", total: 5 };
  const second = append<P>(first, "4", { items: [3, 2], next: "2", total: 9 });
  assert.deepEqual(second, { items: [5, 4, 3, 2], next: "2", total: 5 });
  assert.deepEqual(append<P>(second, "2", { items: [1], total: 9 }), { items: [5, 4, 3, 2, 1], next: "", total: 5 });
});

test("a page of what is no longer shown is left out", () => {
  const reread: P = { items: [7, 6], next: "6", total: 7 };
  assert.equal(append(reread, "4", { items: [3], next: "3", total: 4 }), reread);
});

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { announced, confirm, dismiss, feed, load, receive, resetFeed, tidy, togglePause, undo } from "../src/wall/feed";
import type { Row, Status } from "../src/model";
import { toasts } from "../src/toast";

// The server's side of the contract, as far as the feed uses it.
let rows: Row[] = [];
let asked: string[] = [];
let gate: Promise<void> = Promise.resolve();

const at = (s: number): string => new Date(Date.UTC(2025, 10, 22) + s * 1000).toISOString();
const make = (n: number, status: Status = "new"): Row => ({
  alert: { id: `a${n}`, camera: "c", rule: "r", kind: "zone_entry", level: 2, phase: "opened", start: at(n), last: at(n) },
  status,
  camera: { id: "c", name: "c", division: "360921100201" },
  received_at: at(n),
});
const answer = (status: number, body: unknown): Response => new Response(JSON.stringify(body), { status });

async function serve(url: string, method: string): Promise<Response> {
  asked.push(`${method} ${url.replace("/api/v1", "")}`);
  const u = new URL(url, "http://x");
  const [, id, verb] = u.pathname.match(/alerts\/(\w+)(?:\/(\w+))?$/) ?? [];
  const row = rows.find((r) => r.alert.id === id);
  if (verb) await gate;
  if (!id) {
    const status = u.searchParams.get("status");
    const before = Number(u.searchParams.get("before")?.slice(1) ?? Infinity);
    const all = rows.filter((r) => (!status || r.status === status) && Number(r.alert.id.slice(1)) < before).reverse();
    const items = all.slice(0, Number(u.searchParams.get("limit")));
    return answer(200, { items, next: all.length > items.length ? items[items.length - 1]?.alert.id : "" });
  }
  if (!row) return answer(404, { code: "not_found", message: "未找到", message_en: "none" });
  if (!verb) return answer(200, row);
  if (verb !== "undo" && row.status !== "new") return answer(409, { code: "already_triaged", message: "已有结论", message_en: "decided" });
  row.status = verb === "undo" ? "new" : verb === "confirm" ? "confirmed" : "dismissed";
  row.triage = verb === "undo" ? null : { by: "me", at: at(0) };
  return answer(200, verb === "confirm" ? { eventNo: "360921-20251122-000001" } : row);
}

beforeEach(() => {
  globalThis.fetch = ((url: string, o: RequestInit) => serve(url, o.method ?? "GET")) as typeof fetch;
  globalThis.document = { activeElement: null } as unknown as Document;
  rows = [1, 2, 3].map((n) => make(n));
  asked = [];
  gate = Promise.resolve();
  toasts.set([]);
  resetFeed();
});

const status = (id: string): string | undefined => rows.find((r) => r.alert.id === id)?.status;
const shown = (): string => feed.get().items.map((i) => i.row.alert.id).join(" ");

test("the newest waiting alert is chosen, and after a decision the next", async () => {
  await load();
  assert.equal(shown(), "a3 a2 a1");
  assert.equal(feed.get().selected, "a3");
  assert.equal(await confirm("a3", { category: "0201", title: "t", note: "" }), true);
  assert.equal(feed.get().selected, "a2");
  assert.match(toasts.get()[0]?.text ?? "", /360921-20251122-000001/);
});

test("undo right after a decision means that one, even while it is on its way", async () => {
  await load();
  await dismiss("a3", "known");
  let go = (): void => {};
  gate = new Promise((r) => (go = r));
  const second = dismiss("a2", "false_alarm");
  const undone = undo();
  go();
  await Promise.all([second, undone]);
  assert.equal(status("a3"), "dismissed");
  assert.equal(status("a2"), "new");
  assert.equal(feed.get().selected, "a2");
  await undo();
  assert.equal(status("a3"), "new", "again: the one before");
});

test("an older toast's button takes back its own decision", async () => {
  await load();
  await dismiss("a3", "known");
  await dismiss("a2", "known");
  await undo("a3");
  assert.equal(status("a3"), "new");
  assert.equal(status("a2"), "dismissed");
});

test("a second decision is not sent while one is on its way", async () => {
  await load();
  let go = (): void => {};
  gate = new Promise((r) => (go = r));
  const first = dismiss("a3", "known");
  assert.equal(await dismiss("a3", "known"), false);
  go();
  await first;
  assert.equal(asked.filter((a) => a.startsWith("POST")).length, 1);
});

test("who was slower is told who was faster", async () => {
  await load();
  const theirs = rows[2] as Row;
  theirs.status = "confirmed";
  theirs.triage = { by: "wang", name: "王五", at: at(0) };
  assert.equal(await dismiss("a3", "known"), false);
  assert.match(toasts.get()[0]?.text ?? "", /王五/);
  assert.equal(feed.get().items[0]?.row.status, "confirmed");
});

test("while paused new alerts wait, and what is decided meanwhile does not come", async () => {
  await load();
  togglePause();
  receive(make(4));
  receive(make(5));
  receive(make(4, "dismissed"));
  assert.equal(shown(), "a3 a2 a1");
  assert.equal(feed.get().held.size, 1);
  togglePause();
  assert.equal(shown(), "a5 a3 a2 a1");
  assert.equal(feed.get().selected, "a3", "the choice does not jump");
});

test("each new alert is announced once, and only what the filter lets in", async () => {
  await load();
  receive(make(4));
  const first = announced.get();
  assert.equal(first?.alert.id, "a4");
  receive(make(4));
  receive(make(2));
  assert.equal(announced.get(), first);
  feed.update((f) => ({ ...f, filter: { ...f.filter, level: 1 } }));
  receive(make(6));
  assert.equal(announced.get(), first);
});

test("after a gap, what was decided meanwhile is asked for", async () => {
  await load();
  (rows[0] as Row).status = "dismissed";
  rows.push(make(4));
  await load(true);
  assert.equal(shown(), "a4 a3 a2 a1");
  assert.equal(feed.get().items[3]?.row.status, "dismissed");
});

test("a flood is bounded, and a cleared list is filled up again", async () => {
  rows = Array.from({ length: 130 }, (_, n) => make(n));
  await load();
  assert.equal(feed.get().items.length, 100);
  for (let n = 130; n < 400; n++) receive(make(n));
  assert.equal(feed.get().items.length, 200);
  assert.ok(shown().includes("a129"), "the selected one stays");
  resetFeed();
  await load();
  for (const i of feed.get().items.slice(0, 85)) receive({ ...i.row, status: "dismissed" });
  tidy();
  await new Promise((r) => setImmediate(r));
  assert.ok(asked.some((a) => a.includes("before=a30")));
});

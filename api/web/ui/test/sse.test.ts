import assert from "node:assert/strict";
import { test } from "node:test";
import { backoff, EventParser, type Message } from "../src/sse";

function parse(pieces: string[]): { messages: Message[]; retryMs: number } {
  const messages: Message[] = [];
  const p = new EventParser((m) => messages.push(m));
  for (const s of pieces) p.push(s);
  return { messages, retryMs: p.retryMs };
}

const text = 'retry: 2000\nid: 7\nevent: alert\ndata: {"a":1}\n\n: beat\n\nid: 8\r\nevent:camera\r\ndata:x\r\ndata: y\r\n\r\ndata: z\r\rid: 9\n\n';
const want: Message[] = [
  { id: "7", event: "alert", data: '{"a":1}' },
  { id: "8", event: "camera", data: "x\ny" },
  { id: "8", event: "message", data: "z" },
];

test("messages, comments, all line ends", () => {
  const { messages, retryMs } = parse([text]);
  assert.deepEqual(messages, want);
  assert.equal(retryMs, 2000);
});

test("the stream may be cut anywhere", () => {
  assert.deepEqual(parse([...text]).messages, want);
  for (let i = 0; i <= text.length; i++) assert.deepEqual(parse([text.slice(0, i), text.slice(i)]).messages, want, `cut at ${i}`);
});

test("an unfinished message is not told", () => {
  assert.deepEqual(parse(["event: alert\ndata: 1\n"]).messages, []);
});

test("hostile fields do no harm", () => {
  const { messages, retryMs } = parse(["id: a\0b\nretry: 1e9\nretry: -1\nfoo: bar\nnocolon\ndata\n\n"]);
  assert.deepEqual(messages, [{ id: "", event: "message", data: "" }]);
  assert.equal(retryMs, 0);
  assert.equal(parse(["retry: 99999999\n"]).retryMs, 60_000);
  const p = new EventParser(() => {}, 100);
  assert.throws(() => p.push("x".repeat(101)));
});

test("back-off grows to a bound and is never in step", () => {
  assert.equal(backoff(0, 0), 500);
  assert.equal(backoff(0, 1), 1000);
  assert.equal(backoff(3, 1), 8000);
  assert.equal(backoff(4, 1), 15_000);
  assert.equal(backoff(1000, 1), 15_000);
  assert.notEqual(backoff(5, 0.1), backoff(5, 0.9));
});

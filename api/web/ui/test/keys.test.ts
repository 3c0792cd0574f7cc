import assert from "node:assert/strict";
import { test } from "node:test";
import { chordMs, Keyboard, type Stroke } from "../src/keys";

const stroke = (key: string, o: Partial<Stroke> = {}): Stroke => ({ key, modified: false, typing: false, control: false, repeat: false, ...o });

test("the wall's keys", () => {
  const table: [string, string][] = [
    ["j", "next"], ["ArrowDown", "next"], ["k", "prev"], ["ArrowUp", "prev"], ["Home", "first"], ["End", "last"],
    ["Enter", "confirm"], ["c", "confirm"], ["C", "confirm"], ["d", "dismiss"],
    ["1", "dismiss.false_alarm"], ["2", "dismiss.known"], ["3", "dismiss.no_action"],
    ["u", "undo"], ["p", "pause"], ["b", "boxes"], ["m", "mute"], ["?", "help"], ["Escape", "escape"],
  ];
  for (const [key, want] of table) assert.equal(new Keyboard().command(stroke(key), true, 0), want, key);
  assert.equal(new Keyboard().command(stroke("x"), true, 0), null);
});

test("deciding keys do nothing on other views", () => {
  for (const key of ["Enter", "c", "d", "1", "2", "3", "u", "p", "b", "j"]) assert.equal(new Keyboard().command(stroke(key), false, 0), null, key);
  for (const key of ["m", "?"]) assert.notEqual(new Keyboard().command(stroke(key), false, 0), null, key);
});

test("g and a letter go to a view, within the time", () => {
  const table: [string, string][] = [["w", "go.wall"], ["e", "go.events"], ["c", "go.coverage"], ["d", "go.cameras"], ["r", "go.register"], ["l", "go.letters"], ["h", "go.help"]];
  for (const [key, want] of table) {
    const k = new Keyboard();
    assert.equal(k.command(stroke("g"), true, 1000), null);
    assert.equal(k.command(stroke(key), true, 1000 + chordMs - 1), want);
    assert.notEqual(k.command(stroke(key), true, 1001 + chordMs - 1), want, "the chord is over");
  }
  const late = new Keyboard();
  late.command(stroke("g"), true, 0);
  assert.equal(late.command(stroke("c"), true, chordMs), "confirm");
});

test("g and a wrong key does nothing: g d must not dismiss by accident, nor g 1", () => {
  const k = new Keyboard();
  k.command(stroke("g"), true, 0);
  assert.equal(k.command(stroke("1"), true, 1), null);
});

test("typing and the browser's own shortcuts are left alone", () => {
  for (const key of ["j", "1", "Enter", "c", "?", "m"]) {
    assert.equal(new Keyboard().command(stroke(key, { typing: true }), true, 0), null, key);
    assert.equal(new Keyboard().command(stroke(key, { modified: true }), true, 0), null, key);
  }
  assert.equal(new Keyboard().command(stroke("Escape", { typing: true }), true, 0), "escape");
});

test("a focused button keeps Enter for itself", () => {
  assert.equal(new Keyboard().command(stroke("Enter", { control: true }), true, 0), null);
  assert.equal(new Keyboard().command(stroke("1", { control: true }), true, 0), "dismiss.false_alarm");
});

test("a held key moves on but decides only once", () => {
  for (const key of ["1", "2", "3", "Enter", "d", "u", "p", "m"]) assert.equal(new Keyboard().command(stroke(key, { repeat: true }), true, 0), null, key);
  assert.equal(new Keyboard().command(stroke("j", { repeat: true }), true, 0), "next");
});

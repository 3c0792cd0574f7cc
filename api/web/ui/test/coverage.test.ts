import assert from "node:assert/strict";
import { test } from "node:test";
import { selectVillages, verdict, villagesCSV, type Filter, type Sort } from "../src/coverage-table";
import { codeCell, csvCell } from "../src/csv";
import { lang } from "../src/i18n";
import type { Village } from "../src/model";

const village = (code: string, name: string, points: number, ok: boolean | null, o: Partial<Village> = {}): Village => ({
  code, name, kind: ok === null ? "community" : "village", town: "赤岸镇", points, cameras: points, online: points, offline: 0, unknown: 0, shortfall: Math.max(0, 5 - points), ok, ...o,
});

const villages = [
  village("360921100201", "红星村委会", 6, true),
  village("360921100202", "城下村委会", 2, false, { town: "冯川镇" }),
  village("360921100003", "东门社区居委会", 1, null),
];
const any: Filter = { text: "", kind: "", onlyShort: false };
const byPoints: Sort = { column: "points", down: true };
const codes = (f: Filter, s: Sort = byPoints): string => selectVillages(villages, f, s, "zh-CN").map((v) => v.code.slice(-3)).join(" ");

test("villages sort and filter", () => {
  assert.equal(codes(any), "201 202 003");
  assert.equal(codes(any, { column: "points", down: false }), "003 202 201");
  assert.equal(codes({ ...any, onlyShort: true }), "202", "a community has no standard to fall short of");
  assert.equal(codes({ ...any, kind: "community" }), "003");
  assert.equal(codes({ ...any, text: "冯川" }), "202");
  assert.equal(codes({ ...any, text: "  赤岸 红星 " }), "201");
  assert.equal(codes({ ...any, text: "100003" }), "003");
  assert.deepEqual(villages.map(verdict), ["ok", "notok", "notapplicable"]);
});

test("cells cannot be run as formulas", () => {
  for (const bad of ["=1+1", "+1", "-1", "@x", " =1", "\t=1", "\r=1", "\n@x"]) assert.match(csvCell(bad), /^"?'/, JSON.stringify(bad));
  assert.equal(csvCell("红星村"), "红星村");
  assert.equal(csvCell('a"b,c'), '"a""b,c"');
  assert.equal(csvCell(-3), "-3", "a number of ours is a number");
  assert.equal(csvCell(null), "");
  assert.equal(codeCell("360921100201"), '"=""360921100201"""', "a code stays text of 12 digits");
  assert.equal(codeCell("=cmd"), "\"'=cmd\"");
});

test("the file opens in a spreadsheet and says what it is", () => {
  lang.set("zh");
  const file = villagesCSV(villages, "2025-11-22 09:00:00", 5);
  assert.ok(file.startsWith("\uFEFF"));
  const lines = file.slice(1).split("\r\n");
  assert.match(lines[0] ?? "", /2025-11-22 09:00:00/);
  assert.match(lines[1] ?? "", /5/);
  assert.equal(lines[2], "代码,村(社区),类型,乡镇(街道),点位,目标,缺口,达标,摄像机,在线,离线,未知");
  assert.equal(lines[4], '"=""360921100202""",城下村委会,行政村,冯川镇,2,5,3,未达标,2,2,0,0');
  assert.equal(lines[5], '"=""360921100003""",东门社区居委会,社区(居委会),赤岸镇,1,,,不适用,1,1,0,0', "no standard, no shortfall");
  assert.equal(lines.length, 7);
});

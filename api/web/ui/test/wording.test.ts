import assert from "node:assert/strict";
import { test } from "node:test";
import { lang } from "../src/i18n";
import { normal, type Alert, type Row } from "../src/model";
import { viewOf } from "../src/route";
import { nearest } from "../src/views/triage";
import { category, objects, spot, what, where } from "../src/wall/wording";

const alert = (o: Partial<Alert>): Alert => ({ id: "1", camera: "cam-1", rule: "r", kind: "zone_entry", level: 1, phase: "opened", start: "", last: "", ...o });

test("what is said of an alert", () => {
  lang.set("zh");
  const table: [Partial<Alert>, string][] = [
    [{ rule_name: "取水口有人" }, "取水口有人"],
    [{ category: "0201", classes: { person: 1 } }, "危险水域内有人,请查看"],
    [{ category: "0101", kind: "dwell", classes: { car: 1 } }, "消防通道有车辆滞留"],
    [{ classes: { person: 2, car: 1 } }, "区域内有人,请查看"],
    [{ classes: { boat: 1 } }, "水域疑似有船,请查看"],
    [{ classes: { cow: 3 } }, "区域内疑似有动物,请查看"],
    [{ classes: null }, "区域内有目标,请查看"],
    [{ kind: "line_cross", classes: { truck: 1 } }, "越界(车辆)"],
    [{ kind: "dwell", classes: { bus: 1 } }, "区域内有车辆滞留"],
    [{ kind: "motion_in_schedule" }, "布防时段画面有运动"],
    [{ kind: "camera_fault", reason: "frozen" }, "设备异常:画面冻结不变"],
    [{ kind: "camera_fault", reason: "frozen", rule_name: "水库相机" }, "水库相机: 画面冻结不变"],
    [{ kind: "camera_fault" }, "设备异常:–"],
    [{ kind: "something_new" }, "需要查看"],
  ];
  for (const [a, want] of table) assert.equal(what(alert(a)), want);
  lang.set("en");
  assert.equal(what(alert({ kind: "line_cross", classes: { person: 1 } })), "Line crossed (person)");
  lang.set("zh");
});

test("where and objects", () => {
  const row: Row = { alert: alert({ zone_name: "警戒区" }), status: "new", received_at: "", camera: { id: "cam-1", name: "东岸", division: "360921100201", division_name: "红星村", place: "东岸" } };
  assert.equal(where(row), "红星村 · 东岸 · 警戒区", "the same word is said once");
  assert.equal(spot(row), "东岸 · 警戒区");
  assert.equal(where(normal({ ...row, camera: null as unknown as Row["camera"] })), "cam-1 · 警戒区", "a camera that has not reported yet");
  assert.equal(objects({ person: 2, car: 0, dog: 1 }), "人 2, 狗 1");
  assert.equal(objects(null), "");
});

test("the proposed category exists in the table", () => {
  assert.equal(category(alert({ category: "0302" })), "0302");
  assert.equal(category(alert({ kind: "camera_fault", reason: "frozen" })), "0804");
  assert.equal(category(alert({ kind: "camera_fault", reason: "timeout" })), "0801");
  const table = ["0101", "0401", "0402", "9900"].map((code) => ({ code, name: code }));
  assert.equal(nearest(table, "0402"), "0402");
  assert.equal(nearest(table, "0499"), "0401");
  assert.equal(nearest(table, "0701"), "9900");
  assert.equal(nearest([], "0701"), "0701");
});

test("addresses", () => {
  assert.equal(viewOf("#/events"), "events");
  assert.equal(viewOf("#/coverage?x=1"), "coverage");
  for (const h of ["", "#", "#/", "#/nonsense", "#javascript:alert(1)"]) assert.equal(viewOf(h), "wall");
});

// What a card says: words of places and things, never of who (no claim beyond
// what the rule and the class list can carry).
import { known, t, words, type Key } from "../i18n";
import type { Alert, Row } from "../model";

const groups: Record<string, "person" | "vehicle" | "animal"> = {
  person: "person",
  bicycle: "vehicle",
  car: "vehicle",
  motorcycle: "vehicle",
  bus: "vehicle",
  train: "vehicle",
  truck: "vehicle",
  boat: "vehicle",
  cat: "animal",
  dog: "animal",
  horse: "animal",
  sheep: "animal",
  cow: "animal",
};

/** subject is the group of the class that was seen most, or "object". */
export function subject(classes: Record<string, number> | null | undefined): "person" | "vehicle" | "animal" | "object" {
  const top = Object.entries(classes ?? {}).sort((a, b) => b[1] - a[1])[0];
  return (top && groups[top[0]]) ?? "object";
}

const byCategory = new Set(["0101", "0201", "0301", "0302"]);

/** whatKey is the sentence for an alert whose rule has no name of its own. */
export function whatKey(a: Alert): Key {
  if (a.kind === "camera_fault") return "what.camera_fault";
  if (a.kind === "device_alarm") return "what.device_alarm";
  if (a.category && byCategory.has(a.category)) return `what.${a.category}` as Key;
  switch (a.kind) {
    case "zone_entry": {
      const classes = Object.keys(a.classes ?? {});
      if (classes.length === 1 && classes[0] === "boat") return "what.zone_entry.boat";
      const s = subject(a.classes);
      return s === "object" ? "what.zone_entry.other" : (`what.zone_entry.${s}` as Key);
    }
    case "line_cross":
      return "what.line_cross";
    case "dwell":
      return "what.dwell";
    case "motion_in_schedule":
      return "what.motion_in_schedule";
  }
  return "what.other";
}

/** what is the headline of an alert: the rule's name when the operator gave one. */
export function what(a: Alert): string {
  if (a.kind === "camera_fault") {
    const reason = known("why", a.reason);
    return a.rule_name ? (reason ? `${a.rule_name}: ${reason}` : a.rule_name) : t("what.camera_fault", { reason: reason || "–" });
  }
  if (a.kind === "device_alarm") {
    const alarm = alarmName(a);
    return alarm ? t("what.device_alarm", { alarm }) : t("what.device_alarm.plain");
  }
  if (a.rule_name) return a.rule_name;
  return t(whatKey(a), { who: t(`group.${subject(a.classes)}` as Key) });
}

/**
 * alarmName is what a device reported: our word for its kind, else its rule's name.
 * It is empty for the kind that stands for everything else: what a device says of
 * how somebody behaves is not passed on.
 */
function alarmName(a: Alert): string {
  if (a.rule === "gb28181-device_alarm") return "";
  const key = `alarm.${a.rule.replace(/^gb28181-/, "")}`;
  return key in words.zh ? t(key as Key) : (a.rule_name ?? a.rule);
}

/** where is the place in one line: village, camera, place, zone. */
export function where(row: Row): string {
  return join([row.camera.division_name || row.camera.division, row.camera.name || row.alert.camera, row.camera.place, row.alert.zone_name || row.alert.zone]);
}

/** spot is the place without its village: camera, place, zone. */
export function spot(row: Row): string {
  return join([row.camera.name || row.alert.camera, row.camera.place, row.alert.zone_name || row.alert.zone]);
}

const join = (parts: (string | undefined)[]): string => parts.filter((s, i, all) => s && all.indexOf(s) === i).join(" · ");

/** objects lists the classes with their counts. */
export function objects(classes: Record<string, number> | null | undefined): string {
  return Object.entries(classes ?? {})
    .filter(([, n]) => n > 0)
    .map(([c, n]) => `${known("class", c)} ${n}`)
    .join(", ");
}

/** category is the event category proposed for an alert: its rule's own, else by kind. */
export function category(a: Alert): string {
  if (a.category) return a.category;
  switch (a.kind) {
    case "camera_fault":
      return a.reason === "frozen" || a.reason === "undecodable" ? "0804" : "0801";
    case "dwell":
      return "0401";
    case "line_cross":
    case "zone_entry":
    case "motion_in_schedule":
      return "0701";
  }
  return "99";
}

// What the wall's keys do.
import { toast } from "../toast";
import { t } from "../i18n";
import type { Command } from "../keys";
import type { Dismissal, Row } from "../model";
import { Observable } from "../observable";
import { remembered } from "../remember";
import { mayTriage } from "../session";
import { dismiss, feed, move, selectedRow, togglePause, undo } from "./feed";

/** open is the dialog that stands over the wall, and for which alert. */
export const open = new Observable<{ kind: "confirm" | "dismiss"; row: Row } | null>(null);
export const boxesShown = remembered<"on" | "off">("boxes", "on", (v) => v === "on" || v === "off");

/** decidable is the selected alert when this user may decide about it now; otherwise says why not. */
function decidable(): Row | null {
  const row = selectedRow();
  if (!row || feed.get().busy) return null;
  if (!mayTriage()) {
    toast(t("wall.readonly"), { kind: "error" });
    return null;
  }
  if (row.status !== "new") {
    toast(t("wall.triaged", { by: row.triage?.name || row.triage?.by || "–" }));
    return null;
  }
  return row;
}

export function ask(kind: "confirm" | "dismiss"): void {
  const row = decidable();
  if (row) open.set({ kind, row });
}

export function dismissSelected(reason: Dismissal): void {
  const row = decidable();
  if (row) void dismiss(row.alert.id, reason);
}

/** wallCommand runs one command of the keyboard table. */
export function wallCommand(c: Command): void {
  switch (c) {
    case "next":
      return move(1);
    case "prev":
      return move(-1);
    case "first":
      return move(-Infinity);
    case "last":
      return move(Infinity);
    case "confirm":
    case "dismiss":
      return ask(c);
    case "dismiss.false_alarm":
    case "dismiss.known":
    case "dismiss.no_action":
      return dismissSelected(c.slice("dismiss.".length) as Dismissal);
    case "undo":
      if (mayTriage()) void undo();
      return;
    case "pause":
      return togglePause();
    case "boxes":
      return boxesShown.update((b) => (b === "on" ? "off" : "on"));
  }
}

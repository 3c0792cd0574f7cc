// The list behind the wall, as pure functions: newest first, one row per alert,
// bounded, and never stepping back in an alert's life.
import type { Row, Status } from "../model";

/** The most cards that the wall holds before "load more". */
export const pageSize = 100;
export const startCap = 200;
/** The most that "load more" may grow it to. */
export const maxCap = 600;
/** How long a handled alert stays on the list of the waiting ones, in ms. */
export const lingerMs = 12_000;

export interface Filter {
  status: Status | "";
  division: string;
  level: number; // 0 is all
}

export interface Item {
  row: Row;
  /** order is the start of the incident, in ms, as the server orders: a backlog of late ones does not bury what happens now. */
  order: number;
  /** leaveAt is when an item that no longer matches goes, in ms; 0 stays. */
  leaveAt: number;
}

const phaseRank = { opened: 0, updated: 1, closed: 2 } as const;

/** newer tells whether b may replace a: the alert's life and its status only move on. */
export function newer(a: Row, b: Row): boolean {
  const ra = phaseRank[a.alert.phase] ?? 0;
  const rb = phaseRank[b.alert.phase] ?? 0;
  if (ra !== rb) return rb > ra;
  return Date.parse(b.alert.last) >= Date.parse(a.alert.last);
}

/** merge puts b over a: the later life of the alert, and b's status, which the server decides. */
export function merge(a: Row, b: Row): Row {
  const alert = newer(a, b) ? b.alert : a.alert;
  return {
    ...a,
    ...b,
    // A camera's name may be missing in a live message; a known one stays.
    camera: { ...a.camera, ...b.camera },
    alert,
    // What says how its picture is, says it all; a thin message says nothing of it.
    picture_url: b.picture ? b.picture_url ?? "" : b.picture_url || a.picture_url || "",
  };
}

export function matches(row: Row, f: Filter): boolean {
  if (f.status && row.status !== f.status) return false;
  if (f.division && !row.camera.division?.startsWith(f.division)) return false;
  return f.level === 0 || row.alert.level === f.level;
}

function before(a: Item, b: Item): number {
  return b.order - a.order || (a.row.alert.id < b.row.alert.id ? 1 : -1);
}

function orderOf(row: Row): number {
  return Date.parse(row.alert.start) || 0;
}

export interface Upsert {
  items: Item[];
  /** added: the alert was not on the list. */
  added: boolean;
  /** dropped: the oldest fell off the end. */
  dropped: boolean;
}

/** upsert brings one row in. A row that matches no more lingers if it was there, else is not added. Beyond cap the oldest goes, but never keep, which somebody is looking at. */
export function upsert(items: Item[], row: Row, f: Filter, cap: number, nowMs: number, keep = ""): Upsert {
  const at = items.findIndex((i) => i.row.alert.id === row.alert.id);
  const old = at >= 0 ? items[at] : undefined;
  if (old) {
    const merged = merge(old.row, row);
    const leaveAt = matches(merged, f) ? 0 : old.leaveAt || nowMs + lingerMs;
    const next = items.slice();
    next[at] = { ...old, row: merged, leaveAt };
    return { items: next, added: false, dropped: false };
  }
  if (!matches(row, f)) return { items, added: false, dropped: false };
  const next = [...items, { row, order: orderOf(row), leaveAt: 0 }].sort(before);
  const dropped = next.length > cap;
  if (dropped) next.splice(next[next.length - 1]?.row.alert.id === keep ? next.length - 2 : next.length - 1, 1);
  return { items: next, added: true, dropped };
}

/** sweep removes what has lingered long enough, except the one that is being looked at. */
export function sweep(items: Item[], nowMs: number, keep: string): Item[] {
  const next = items.filter((i) => i.leaveAt === 0 || i.leaveAt > nowMs || i.row.alert.id === keep);
  return next.length === items.length ? items : next;
}

/** step is the id that lies n cards after the given one, staying within the list. */
export function step(items: Item[], id: string, n: number): string {
  if (items.length === 0) return "";
  const at = items.findIndex((i) => i.row.alert.id === id);
  const to = at < 0 ? 0 : Math.min(items.length - 1, Math.max(0, at + n));
  return items[to]?.row.alert.id ?? "";
}

/** following is the next alert that waits after the given one (older), else the nearest before it, else the same. */
export function following(items: Item[], id: string): string {
  const at = items.findIndex((i) => i.row.alert.id === id);
  if (at < 0) return items.find((i) => i.row.status === "new")?.row.alert.id ?? "";
  const after = items.slice(at + 1).find((i) => i.row.status === "new");
  const prior = items.slice(0, at).reverse().find((i) => i.row.status === "new");
  return (after ?? prior ?? items[at])?.row.alert.id ?? "";
}

/** waiting counts the alerts on the list that nobody has handled. */
export function waiting(items: Item[]): number {
  return items.reduce((n, i) => n + (i.row.status === "new" ? 1 : 0), 0);
}

// The alerts of the page: one list, fed by the first load, by the live
// connection and by the user's own decisions. It lives outside the wall's view
// so that sound and title go on while another view is open.
import { ApiError, explain, get, post } from "../http";
import { known, t } from "../i18n";
import { normal, type Category, type Dismissal, type GridEvent, type Page, type Row } from "../model";
import { Observable } from "../observable";
import { beep } from "../sound";
import { toast, dropToast } from "../toast";
import { following, matches, maxCap, pageSize, startCap, step, sweep, upsert, type Filter, type Item } from "./rows";

export interface Feed {
  items: Item[];
  filter: Filter;
  selected: string;
  paused: boolean;
  /** held are the new alerts that came while paused, by ID. */
  held: Map<string, Row>;
  next: string;
  cap: number;
  loading: boolean;
  error: string;
  /** lastAlert is when the center last heard of any alert, as far as this page knows. */
  lastAlert: string;
  /** busy is the alert whose decision is on its way. */
  busy: string;
}

const empty: Feed = {
  items: [],
  filter: { status: "new", division: "", level: 0 },
  selected: "",
  paused: false,
  held: new Map(),
  next: "",
  cap: startCap,
  loading: false,
  error: "",
  lastAlert: "",
  busy: "",
};

export const feed = new Observable<Feed>(empty);
/** announced is the latest new alert, for screen readers. */
export const announced = new Observable<Row | null>(null);

/** The most that wait while paused; the oldest are still found by "load more". */
const heldCap = 500;
/** How long "u" finds the last decision, as the server allows. */
const undoMs = 10 * 60_000;
const undoToastMs = 15_000;

/** decisions are this user's own, latest last, for undo. */
let decisions: { id: string; atMs: number; toast: number }[] = [];
const decisionCap = 50;
/** rung are the alerts that have sounded, so that none sounds twice; bounded, oldest out first. */
const rung = new Set<string>();
const rungCap = 2000;
let generation = 0;
/** After a failed automatic page the next is not tried before, in ms. */
let autoMoreAt = 0;
const autoMoreWait = 30_000;
/** With fewer waiting cards than this the next page is read without being asked. */
const lowWater = 20;

const set = (part: Partial<Feed>): void => feed.update((f) => ({ ...f, ...part }));

/** resetFeed forgets everything, at logout. */
export function resetFeed(): void {
  generation++;
  decisions = [];
  rung.clear();
  feed.set(empty);
}

function query(f: Filter, before: string): string {
  const q = new URLSearchParams({ limit: String(pageSize) });
  if (f.status) q.set("status", f.status);
  if (f.division) q.set("division", f.division);
  if (before) q.set("before", before);
  return `/alerts?${q}`;
}

function latest(a: string, b: string): string {
  return (Date.parse(b) || 0) > (Date.parse(a) || 0) ? b : a;
}

function add(f: Feed, rows: Row[]): Feed {
  let { items, lastAlert, next } = f;
  for (const row of rows) {
    const u = upsert(items, row, f.filter, f.cap, Date.now(), f.selected);
    items = u.items;
    // What fell off the end is found again by its neighbour's cursor; the selected one may stand alone behind the gap.
    if (u.dropped) next = items.findLast((i) => i.row.alert.id !== f.selected)?.row.alert.id ?? next;
    lastAlert = latest(lastAlert, row.received_at);
  }
  return { ...f, items, lastAlert, next, selected: f.selected || (items[0]?.row.alert.id ?? "") };
}

/** load reads the first page for the filter. keep: merge into what is shown (after a reconnect). */
export async function load(keep = false): Promise<void> {
  const mine = ++generation;
  const { filter } = feed.get();
  set({ loading: true, error: "", ...(keep ? {} : { items: [], next: "", cap: startCap, selected: "", held: new Map() }) });
  try {
    const page = await get<Page<Row>>(query(filter, ""));
    if (mine !== generation) return;
    const rows = (page.items ?? []).map(normal);
    if (keep) await settle(rows, page.next ?? "", mine);
    feed.update((f) => ({ ...add(f, rows), loading: false, next: keep && f.items.length > rows.length ? f.next : (page.next ?? "") }));
    if (rows.length === 0 && !feed.get().lastAlert) await lastEver(mine);
  } catch (e) {
    if (mine === generation) set({ loading: false, error: explain(e) });
  }
}

/** settle asks about what we show but the fresh page lacks: it was decided while the line was down. */
async function settle(rows: Row[], next: string, mine: number): Promise<void> {
  const fresh = new Set(rows.map((r) => r.alert.id));
  const oldest = rows[rows.length - 1];
  const missing = feed.get().items.filter(
    (i) => !fresh.has(i.row.alert.id) && i.leaveAt === 0 && (!next || (oldest && i.row.received_at >= oldest.received_at)),
  );
  for (const i of missing.slice(0, pageSize)) {
    if (mine !== generation) return;
    await refresh(i.row.alert.id);
  }
}

async function lastEver(mine: number): Promise<void> {
  try {
    const page = await get<Page<Row>>("/alerts?limit=1");
    const row = page.items?.[0];
    if (row && mine === generation) set({ lastAlert: latest(feed.get().lastAlert, row.received_at) });
  } catch {
    // Only decorates the empty wall.
  }
}

/** more loads the next older page and lets the list grow, up to its limit. */
export async function more(): Promise<boolean> {
  const { filter, next, cap, items } = feed.get();
  if (!next || feed.get().loading || items.length >= maxCap) return false;
  const mine = generation;
  set({ loading: true, cap: Math.min(maxCap, Math.max(cap, items.length + pageSize)) });
  try {
    const page = await get<Page<Row>>(query(filter, next));
    if (mine !== generation) return false;
    feed.update((f) => ({ ...add(f, (page.items ?? []).map(normal)), loading: false, next: page.next ?? "" }));
    return true;
  } catch (e) {
    if (mine !== generation) return false;
    set({ loading: false });
    toast(explain(e), { kind: "error" });
    return false;
  }
}

export function setFilter(part: Partial<Filter>): void {
  set({ filter: { ...feed.get().filter, ...part } });
  void load();
}

/** receive takes a row from the live connection. */
export function receive(raw: Row): void {
  const row = normal(raw);
  const { id } = row.alert;
  const f = feed.get();
  const shown = f.items.some((i) => i.row.alert.id === id);
  if (f.paused && !shown) hold(row);
  else feed.update((g) => add(g, [row]));
  const mine = matches(row, { ...f.filter, status: "new" });
  if (!mine || shown || rung.has(id)) return;
  rung.add(id);
  if (rung.size > rungCap) rung.delete(rung.values().next().value as string);
  announced.set(row);
  beep(row.alert.level);
}

/** hold keeps a row for later while the wall is paused, as long as it matches. */
function hold(row: Row): void {
  const { id } = row.alert;
  const f = feed.get();
  const held = new Map(f.held);
  if (matches(row, f.filter)) held.set(id, row);
  else held.delete(id); // decided meanwhile by somebody else
  if (held.size > heldCap) held.delete(held.keys().next().value as string);
  set({ held, lastAlert: latest(f.lastAlert, row.received_at) });
}

export function togglePause(): void {
  const f = feed.get();
  if (!f.paused) return set({ paused: true });
  feed.update((g) => add({ ...g, paused: false, held: new Map() }, [...f.held.values()]));
}

/** tidy removes what has lingered and fills the list up again; called once a second. */
export function tidy(): void {
  feed.update((f) => {
    const items = sweep(f.items, Date.now(), f.selected);
    return items === f.items ? f : { ...f, items };
  });
  const { items, next, loading } = feed.get();
  if (!next || loading || Date.now() < autoMoreAt || items.filter((i) => i.leaveAt === 0).length >= lowWater) return;
  autoMoreAt = Date.now() + autoMoreWait;
  void more().then((ok) => { if (ok) autoMoreAt = 0; });
}

export function select(id: string): void {
  set({ selected: id });
}

export function move(n: number): void {
  feed.update((f) => ({ ...f, selected: step(f.items, f.selected, n) }));
}

/** selectedRow is the alert that is looked at, or undefined. */
export function selectedRow(f: Feed = feed.get()): Row | undefined {
  return f.items.find((i) => i.row.alert.id === f.selected)?.row;
}

/** refresh asks the server for one alert and shows it as it is now. */
export async function refresh(id: string): Promise<void> {
  try {
    const row = normal(await get<Row>(`/alerts/${encodeURIComponent(id)}`));
    feed.update((f) => add(f, [row]));
  } catch {
    // The live connection will tell.
  }
}

/** deciding is the decision that is on its way, for undo to wait for. */
let deciding: Promise<boolean> = Promise.resolve(false);

function decide(id: string, send: () => Promise<string>): Promise<boolean> {
  if (feed.get().busy) return Promise.resolve(false);
  deciding = deliver(id, send);
  return deciding;
}

async function deliver(id: string, send: () => Promise<string>): Promise<boolean> {
  const byButton = document.activeElement?.closest(".actions") != null;
  set({ busy: id });
  try {
    const text = await send();
    await refresh(id);
    const shown = toast(text, { action: { label: t("act.undo"), run: () => void undo(id) }, ms: undoToastMs });
    decisions = [...decisions.filter((d) => d.id !== id), { id, atMs: Date.now(), toast: shown }].slice(-decisionCap);
    feed.update((f) => (f.selected === id ? { ...f, selected: following(f.items, id) } : f));
    // The button now stands for the next alert, and Enter must not decide about that one unseen.
    if (byButton) document.querySelector<HTMLElement>('[role="listbox"]')?.focus();
    return true;
  } catch (e) {
    await refuse(id, e);
    return false;
  } finally {
    set({ busy: "" });
  }
}

/** refuse shows why a decision was not taken; when somebody was faster, who. */
async function refuse(id: string, e: unknown): Promise<void> {
  const conflict = e instanceof ApiError && e.status === 409;
  if (conflict) await refresh(id);
  const row = feed.get().items.find((i) => i.row.alert.id === id)?.row;
  const by = row?.triage?.name || row?.triage?.by;
  const late = conflict && e.code === "already_triaged" && by;
  toast(late ? t("wall.triaged", { by }) : explain(e), { kind: "error" });
}

/** confirm makes the alert an event. Resolves to whether it worked; errors are shown. */
export function confirm(id: string, body: { category: string; title: string; note: string }): Promise<boolean> {
  return decide(id, async () => {
    const event = await post<GridEvent>(`/alerts/${encodeURIComponent(id)}/confirm`, body);
    return t("act.confirmed", { no: event?.eventNo ?? "" });
  });
}

/** dismiss closes the alert with a reason. */
export function dismiss(id: string, reason: Dismissal, note = ""): Promise<boolean> {
  return decide(id, async () => {
    await post(`/alerts/${encodeURIComponent(id)}/dismiss`, { reason, note });
    return t("act.dismissed", { reason: known("reason", reason) });
  });
}

/** undo takes a decision of this user back: the given one, else the latest. */
export async function undo(which = ""): Promise<void> {
  // Pressed right after a decision it means that one, not the one before.
  await deciding;
  const found = decisions.findLast((d) => (!which || d.id === which) && Date.now() - d.atMs <= undoMs);
  if (!found) {
    toast(t("act.nothing"));
    return;
  }
  const { id } = found;
  set({ selected: id }); // at once: the next key is meant for what was taken back
  try {
    await post(`/alerts/${encodeURIComponent(id)}/undo`, {});
    decisions = decisions.filter((d) => d.id !== id);
    dropToast(found.toast);
    await refresh(id);
    toast(t("act.undone"));
  } catch (e) {
    await refuse(id, e);
  }
}

let categories: Promise<Category[]> | null = null;
/** eventCategories is the server's table, read once; a failure is tried again at the next call. */
export function eventCategories(): Promise<Category[]> {
  categories ??= get<Category[] | Page<Category>>("/event-categories").then((r) => (Array.isArray(r) ? r : (r.items ?? [])));
  categories.catch(() => (categories = null));
  return categories;
}

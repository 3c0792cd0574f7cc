// The alert wall: a list, newest first, and one selected alert beside it.
import { useEffect, useMemo, useRef } from "preact/hooks";
import { useCameras } from "../cameras";
import { stamp } from "../format";
import { lang, t } from "../i18n";
import { Icon } from "../icons";
import type { CameraRow, Status } from "../model";
import { useValue } from "../observable";
import { announced, feed, load, more, select, setFilter, togglePause } from "../wall/feed";
import { open } from "../wall/commands";
import { maxCap, waiting, type Item } from "../wall/rows";
import { what, where } from "../wall/wording";
import { Age, Notice, Segments, Select, type Choice } from "../widgets";
import { roman } from "../format";
import { AlertCard } from "./card";
import { ConfirmDialog, DismissDialog } from "./triage";
import { Preview } from "./preview";

export function WallView() {
  useValue(lang);
  const f = useValue(feed);
  const dialog = useValue(open);
  const selected = f.items.find((i) => i.row.alert.id === f.selected)?.row;
  return (
    <div class="wall">
      <h1 class="sr-only">{t("wall.title")}</h1>
      <section class="wall-side" aria-label={t("wall.list")}>
        <Toolbar />
        {f.paused && (
          <div class="wall-paused" role="status" data-testid="paused">
            <Icon name="pause" /><span>{t("wall.paused", { n: f.held.size })}</span>
            <button type="button" class="button" onClick={togglePause}>{t("wall.resume")}</button>
          </div>
        )}
        <List items={f.items} selected={f.selected} />
      </section>
      <section class="wall-main">
        {selected ? <Preview row={selected} busy={f.busy === selected.alert.id} /> : <div class="preview-empty"><Icon name="eye" />{f.items.length > 0 && <span>{t("wall.select")}</span>}</div>}
      </section>
      {dialog?.kind === "confirm" && <ConfirmDialog row={dialog.row} onClose={() => open.set(null)} />}
      {dialog?.kind === "dismiss" && <DismissDialog row={dialog.row} onClose={() => open.set(null)} />}
      <Announcer />
    </div>
  );
}

/** Announcer tells a screen reader about each new alert. */
function Announcer() {
  const row = useValue(announced);
  return <div class="sr-only" aria-live="assertive">{row ? t("wall.new.announce", { what: what(row.alert), where: where(row) }) : ""}</div>;
}

/** A burst of camera changes is one reload, in ms. */
const settleMs = 2000;

const noCameras: CameraRow[] = [];

/** useVillages are the villages that have cameras, for the filter. */
function useVillages(rows: CameraRow[]): Choice[] {
  return useMemo(() => {
    const names = new Map<string, string>();
    for (const r of rows) if (r.camera.division) names.set(r.camera.division, r.camera.division_name || r.camera.division);
    return [...names].map(([value, text]) => ({ value, text })).sort((a, b) => (a.value < b.value ? -1 : 1));
  }, [rows]);
}

function Toolbar() {
  const { filter, items, paused, next } = useValue(feed);
  const { data } = useCameras(settleMs);
  const cameras = data?.items ?? noCameras;
  const villages = useVillages(cameras);
  const degraded = cameras.filter((r) => !r.removed && r.online !== "unknown" && r.state?.analysis?.level === "degraded").length;
  const statuses: Choice[] = [
    ...(["new", "confirmed", "dismissed"] as const).map((s) => ({ value: s, text: t(`status.${s}`) })),
    { value: "", text: t("common.all") },
  ];
  const levels: Choice[] = [{ value: "0", text: t("common.all") }, ...[1, 2, 3, 4].map((n) => ({ value: String(n), text: t("wall.level", { roman: roman(n) }) }))];
  return (
    <div class="toolbar">
      <div class="toolbar-row">
        <Segments label={t("wall.filter.status")} value={filter.status} choices={statuses} onChange={(v) => setFilter({ status: v as Status | "" })} testid="filter-status" />
        <span class="toolbar-count num" data-testid="pending">{t("wall.pending", { n: `${waiting(items)}${next ? "+" : ""}` })}</span>
        {degraded > 0 && <a class="degraded" href="#/cameras" data-testid="degraded">{t("cam.degraded.count", { n: degraded })}</a>}
        <button type="button" class="button-icon" aria-pressed={paused} aria-label={t(paused ? "wall.resume" : "wall.pause")} title={`${t(paused ? "wall.resume" : "wall.pause")} (p)`} onClick={togglePause} data-testid="pause">
          <Icon name={paused ? "play" : "pause"} />
        </button>
      </div>
      <div class="toolbar-row">
        <Select label={t("wall.filter.village")} value={filter.division} choices={[{ value: "", text: t("common.all") }, ...villages]} onChange={(v) => setFilter({ division: v })} testid="filter-village" />
        <Select label={t("wall.filter.level")} value={String(filter.level)} choices={levels} onChange={(v) => setFilter({ level: Number(v) })} testid="filter-level" />
      </div>
    </div>
  );
}

function List({ items, selected }: { items: Item[]; selected: string }) {
  const f = useValue(feed);
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // The chosen card stays in sight, whoever chose it.
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  }, [selected]);
  return (
    <div class="cards" ref={list}>
      <div class="cards-list" role="listbox" tabIndex={0} aria-label={t("wall.list")} aria-activedescendant={selected ? `alert-${selected}` : undefined} aria-busy={f.loading} data-testid="wall-list">
        {items.map((i) => <AlertCard key={i.row.alert.id} row={i.row} selected={i.row.alert.id === selected} onSelect={select} />)}
      </div>
      {items.length === 0 && !f.next && <Empty />}
      {f.next && items.length < maxCap && (
        <button type="button" class="button cards-more" disabled={f.loading} onClick={() => void more()} data-testid="more">{f.loading ? t("common.loading") : t("common.more")}</button>
      )}
      {items.length >= maxCap && <p class="cards-note">{t("wall.capped", { n: maxCap })}</p>}
    </div>
  );
}

function Empty() {
  const f = useValue(feed);
  if (f.error) return <Notice error text={t("error.load")} hint={f.error} onRetry={() => void load()} />;
  if (f.loading) return <Notice text={t("common.loading")} />;
  const plain = f.filter.status === "new" && !f.filter.division && f.filter.level === 0;
  return (
    <Notice testid="empty" text={t(plain ? "wall.empty.new" : "wall.empty.other")}
      hint={f.lastAlert ? <LastAlert at={f.lastAlert} /> : t("wall.empty.never")} />
  );
}

function LastAlert({ at }: { at: string }) {
  const [before, after] = t("wall.empty.last", { time: stamp(at), age: "\0" }).split("\0");
  return <span>{before}<Age since={at} />{after}</span>;
}

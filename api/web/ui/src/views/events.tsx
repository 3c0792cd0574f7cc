// Grid events: what was confirmed, where, and how far it is.
import { useEffect, useState } from "preact/hooks";
import { eventTick } from "../bus";
import { short, stamp } from "../format";
import { explain, get, serverNow, base } from "../http";
import { known, lang, t } from "../i18n";
import type { GridEvent, Page, Row } from "../model";
import { normal } from "../model";
import { useValue } from "../observable";
import { Picture } from "../picture";
import { useList } from "../resource";
import { what, where } from "../wall/wording";
import { Dialog, Level, Notice, Select } from "../widgets";

const states = ["reported", "accepted", "rejected", "filed", "dispatched", "returned", "handling", "extension_requested", "suspended", "fed_back", "verifying", "verify_failed", "closed", "evaluated", "archived"];
export function EventsView() {
  useValue(lang);
  const tick = useValue(eventTick);
  const [state, setState] = useState("");
  const [opened, setOpened] = useState("");
  const list = useList<Page<GridEvent>>("/events", state ? { state } : {});
  useEffect(() => { if (tick > 0) list.reload(); }, [tick]);
  const event = list.items.find((e) => e.eventNo === opened);
  return (
    <div class="view">
      <div class="view-head">
        <h1>{t("events.title")}</h1>
        <Select label={t("events.state")} value={state} choices={[{ value: "", text: t("common.all") }, ...states.map((s) => ({ value: s, text: known("state", s) }))]} onChange={setState} testid="event-state" />
        <span class="muted num">{t("common.count", { n: list.items.length + (list.data?.next ? "+" : "") })}</span>
      </div>
      {list.error && <Notice error text={t("error.load")} hint={list.error} onRetry={list.reload} />}
      {!list.error && list.data && list.items.length === 0 && <Notice text={t("events.empty")} testid="events-empty" />}
      {!list.data && list.loading && <Notice text={t("common.loading")} />}
      {list.items.length > 0 && (
        <div class="table-wrap">
          <table class="table" data-testid="events">
            <thead><tr>{(["no", "what", "category", "place", "state", "time", "by"] as const).map((c) => <th key={c} scope="col">{t(`events.${c}`)}</th>)}<th /></tr></thead>
            <tbody>{list.items.map((e) => <EventRow key={e.eventNo} event={e} onOpen={() => setOpened(e.eventNo)} />)}</tbody>
          </table>
          {list.data?.next && <button type="button" class="button table-more" onClick={() => void list.older()}>{t("common.more")}</button>}
        </div>
      )}
      {event && <EventDialog event={event} onClose={() => setOpened("")} />}
    </div>
  );
}

function EventRow({ event, onOpen }: { event: GridEvent; onOpen: () => void }) {
  const first = event.history?.[0];
  return (
    <tr data-testid="event-row" data-no={event.eventNo} data-state={event.state} class="row-link" onClick={onOpen}>
      <td class="num nowrap">{event.eventNo}</td>
      <td><span class="cell-main">{event.title} <Level level={event.level} /></span></td>
      <td class="nowrap"><span class="num muted">{event.categoryCode}</span> {event.categoryName}</td>
      <td>{event.address} <span class="muted num">{event.divisionCode}</span></td>
      <td><span class={`mark state-${event.state}`}>{known("state", event.state)}</span></td>
      <td class="num nowrap" title={stamp(event.createdAt)}>{short(event.createdAt, serverNow())}</td>
      <td class="nowrap">{first?.by}</td>
      <td><button type="button" class="button-small" onClick={(e) => { e.stopPropagation(); onOpen(); }}>{t("events.details")}</button></td>
    </tr>
  );
}

function EventDialog({ event, onClose }: { event: GridEvent; onClose: () => void }) {
  return (
    <Dialog title={event.eventNo} onClose={onClose} testid="event-dialog" wide>
      <p class="dialog-lead"><strong>{event.title}</strong><span>{[event.categoryName, event.address].filter(Boolean).join(" · ")}</span></p>
      {event.description && <p>{event.description}</p>}
      <h3>{t("events.alerts")}</h3>
      {(event.alertIds ?? []).map((id) => <SourceAlert key={id} id={id} />)}
      <h3>{t("events.history")}</h3>
      <ol class="history">
        {(event.history ?? []).map((s, i) => (
          <li key={i}>
            <span class="num">{stamp(s.at)}</span>
            <strong>{known("state", s.to)}</strong>
            <span>{[s.by, s.unit, s.post].filter(Boolean).join(" · ")}</span>
            {s.note && <span class="muted">{s.note}</span>}
          </li>
        ))}
      </ol>
    </Dialog>
  );
}

/** SourceAlert fetches the picture only when asked: each look is registered. */
function SourceAlert({ id }: { id: string }) {
  const [row, setRow] = useState<Row | null>(null);
  const [error, setError] = useState("");
  const look = (): void => {
    get<Row>(`/alerts/${encodeURIComponent(id)}`).then((r) => setRow(normal(r)), (e: unknown) => setError(explain(e)));
  };
  if (error) return <p class="form-error" role="alert">{error}</p>;
  if (!row) return <p class="source"><a href={`${base}/alerts/${encodeURIComponent(id)}`} onClick={(e) => { e.preventDefault(); look(); }}>{t("events.openAlert")}</a> <span class="muted num">{id}</span> <span class="muted">{t("wall.picture.registered")}</span></p>;
  return (
    <div class="source-alert">
      <div class="source-picture"><Picture row={row} label={t("wall.picture.alt", { what: what(row.alert), where: where(row), time: stamp(row.alert.start) })} boxes words /></div>
      <p>{what(row.alert)}<br /><span class="muted">{where(row)}</span><br /><span class="num muted">{stamp(row.alert.start)}</span></p>
    </div>
  );
}

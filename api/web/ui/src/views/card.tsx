import { memo } from "./memo";
import { age, score } from "../format";
import { known, lang, t } from "../i18n";
import { Icon } from "../icons";
import type { Row } from "../model";
import { useValue } from "../observable";
import { Picture } from "../picture";
import { objects, spot, what, where } from "../wall/wording";
import { boxesShown } from "../wall/commands";
import { Age, Level } from "../widgets";

/** A delay that is worth a mark: above what a busy but healthy path takes. */
export const lateSeconds = 10;

interface Props {
  row: Row;
  selected: boolean;
  onSelect: (id: string) => void;
}

/** AlertCard is one alert on the list. It renders again only when its row or its selection changed. */
export const AlertCard = memo(function AlertCard({ row, selected, onSelect }: Props) {
  useValue(lang);
  const boxes = useValue(boxesShown) === "on";
  const { alert } = row;
  const place = where(row);
  return (
    <div id={`alert-${alert.id}`} role="option" aria-selected={selected} class={`card edge-${alert.level} card-${row.status}`} onClick={() => onSelect(alert.id)}
      data-testid="alert-card" data-alert-id={alert.id} data-status={row.status} data-phase={alert.phase} data-camera={alert.camera}>
      <div class="card-picture"><Picture row={row} label="" boxes={boxes} width={480} /></div>
      <div class="card-text">
        <div class="card-what"><strong>{what(alert)}</strong><Level level={alert.level} /></div>
        <div class="card-where" title={place}>{spot(row)}</div>
        <div class="card-where muted" title={place}>{row.camera.division_name || row.camera.division}</div>
        <div class="card-marks">
          <span class="card-age"><Icon name="clock" /><Age since={alert.start} /></span>
          <PhaseMark row={row} />
          <LateMark row={row} />
          {objects(alert.classes) && <span class="muted">{objects(alert.classes)}</span>}
          {score(alert.score) && <span class="muted num" title={t("field.score")}>{score(alert.score)}</span>}
        </div>
        {row.status !== "new" && <Decision row={row} />}
      </div>
    </div>
  );
});

export function PhaseMark({ row }: { row: Row }) {
  const closed = row.alert.phase === "closed";
  return <span class={closed ? "mark" : "mark mark-ongoing"}>{t(closed ? "wall.closed" : "wall.ongoing")}</span>;
}

export function LateMark({ row }: { row: Row }) {
  const l = useValue(lang);
  const late = row.late_by_s ?? 0;
  if (late < lateSeconds) return null;
  const text = age(late, l);
  return <span class="mark mark-late" title={t("wall.late.hint", { age: text })} data-testid="late">{t("wall.late", { age: text })}</span>;
}

/** Decision says what was decided, by whom and when. */
export function Decision({ row }: { row: Row }) {
  const { triage } = row;
  const parts = [t(`status.${row.status}`), row.status === "dismissed" ? known("reason", triage?.reason) : "", triage?.name || triage?.by, row.event_no];
  return (
    <div class={`decision decision-${row.status}`} data-testid="decision">
      <Icon name={row.status === "confirmed" ? "check" : "cross"} />
      <span>{parts.filter(Boolean).join(" · ")}</span>
      {triage && <span class="muted"><Age since={triage.at} ago /></span>}
    </div>
  );
}

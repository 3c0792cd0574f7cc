// The selected alert, large: picture, facts, and the two decisions.
import type { ComponentChildren } from "preact";
import { age, clock, secondsSince, short, stamp } from "../format";
import { serverNow } from "../http";
import { lang, t } from "../i18n";
import { Icon } from "../icons";
import type { Row } from "../model";
import { useValue } from "../observable";
import { Picture } from "../picture";
import { mayTriage } from "../session";
import { ask, boxesShown, dismissSelected } from "../wall/commands";
import { objects, what, where } from "../wall/wording";
import { score } from "../format";
import { Age, Level } from "../widgets";
import { Decision, LateMark, PhaseMark } from "./card";
import { dismissals } from "./triage";

export function Preview({ row, busy }: { row: Row; busy: boolean }) {
  const boxes = useValue(boxesShown);
  const { alert } = row;
  const label = t("wall.picture.alt", { what: what(alert), where: where(row), time: clock(alert.picture?.at ?? alert.start) });
  return (
    <article class={`preview edge-${alert.level}`} aria-label={what(alert)} data-testid="preview" data-alert-id={alert.id}>
      <header class="preview-head">
        <div class="preview-title">
          <h2>{what(alert)}</h2>
          <p><Icon name="pin" />{where(row)}</p>
        </div>
        <div class="preview-age"><Age since={alert.start} /><span><PhaseMark row={row} /> <LateMark row={row} /> <Level level={alert.level} /></span></div>
      </header>
      <div class="preview-stage">
        <Picture key={alert.id} row={row} label={label} boxes={boxes === "on"} words />
        {row.picture_url && (
          <div class="preview-caption">
            <span class="num">{t("wall.picture.at", { time: clock(alert.picture?.at ?? alert.start) })}</span>
            {alert.picture?.blurred && <span>{t("wall.picture.blurred")}</span>}
            <span class="wide-only">{t("wall.picture.registered")}</span>
            <button type="button" class="button-small" aria-pressed={boxes === "on"} aria-label={t("wall.boxes.label")} onClick={() => boxesShown.set(boxes === "on" ? "off" : "on")} data-testid="boxes"><Icon name="box" />{t("wall.boxes")}</button>
          </div>
        )}
      </div>
      <Facts row={row} />
      <Actions row={row} busy={busy} />
    </article>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return children ? <div><dt>{name}</dt><dd>{children}</dd></div> : null;
}

function Facts({ row }: { row: Row }) {
  const l = useValue(lang);
  const { alert, camera } = row;
  const lasted = alert.phase === "closed" ? secondsSince(alert.start, Date.parse(alert.end ?? alert.last)) : null;
  const now = serverNow();
  return (
    <dl class="facts">
      <Fact name={t("field.village")}>{camera.division_name || camera.division}</Fact>
      <Fact name={t("field.camera")}>{camera.name}{camera.name !== camera.id && <span class="muted num"> {camera.id}</span>}</Fact>
      <Fact name={t("field.place")}>{camera.place}</Fact>
      <Fact name={t("field.zone")}>{alert.zone_name || alert.zone}</Fact>
      <Fact name={t("field.objects")}>{objects(alert.classes)}</Fact>
      <Fact name={t("field.score")}>{score(alert.score) && <span class="num">{score(alert.score)}</span>}</Fact>
      <Fact name={t("field.start")}><span class="num" title={stamp(alert.start)}>{short(alert.start, now)}</span></Fact>
      <Fact name={t("field.last")}><span class="num">{short(alert.last, now)}</span>{lasted !== null && <span class="muted"> {t("wall.lasted", { age: age(lasted, l) })}</span>}</Fact>
      <Fact name={t("field.received")}><span class="num">{short(row.received_at, now)}</span></Fact>
    </dl>
  );
}

function Actions({ row, busy }: { row: Row; busy: boolean }) {
  if (row.status !== "new") {
    return (
      <div class="actions">
        <Decision row={row} />
        {row.triage?.note && <span class="muted">{t("field.note")}: {row.triage.note}</span>}
        {row.event_no && <a class="button" href="#/events">{t("nav.events")}</a>}
      </div>
    );
  }
  const may = mayTriage();
  return (
    <div class="actions">
      <button type="button" class="button button-primary" disabled={!may || busy} onClick={() => ask("confirm")} data-testid="confirm"><Icon name="check" />{t("act.confirm")}<kbd>Enter</kbd></button>
      <div class="actions-dismiss" role="group" aria-label={t("act.dismiss")} data-testid="dismiss">
        {dismissals.map((reason, i) => (
          <button key={reason} type="button" class="button" disabled={!may || busy} title={t(`reason.${reason}.hint`)} onClick={() => dismissSelected(reason)} data-testid={`dismiss-${reason}`}>{t(`reason.${reason}`)}<kbd>{i + 1}</kbd></button>
        ))}
      </div>
      {busy && <span class="muted" role="status">{t("act.pending")}</span>}
      {!may && <span class="muted">{t("wall.readonly")}</span>}
    </div>
  );
}

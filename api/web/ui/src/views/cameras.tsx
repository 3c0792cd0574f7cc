// Cameras: five independent facts each, with since-when, why, and what to do.
import { useMemo, useState } from "preact/hooks";
import { useCameras } from "../cameras";
import { short, stamp } from "../format";
import { explain, post, serverNow } from "../http";
import { known, lang, t, words, type Key } from "../i18n";
import { factNames, type CameraRow, type Fact, type FactName, type Tri } from "../model";
import { useValue } from "../observable";
import { toast } from "../toast";
import { DevicesPanel } from "./devices";
import { Age, Notice, SearchBox, Segments } from "../widgets";

/** A burst of changes is one reload, in ms. */
const settleMs = 500;

const order: Record<Tri, number> = { no: 0, unknown: 1, yes: 2 };
const onlineWord = { yes: "cam.online", no: "cam.offline", unknown: "cam.unknown" } as const;

export function CamerasView() {
  useValue(lang);
  const [state, setState] = useState("");
  const [text, setText] = useState("");
  const list = useCameras(settleMs);
  const all = useMemo(() => (list.data?.items ?? []).filter((r) => !r.removed), [list.data]);
  const rows = useMemo(() => pick(all, state, text), [all, state, text]);
  const count = (v: Tri): number => all.filter((r) => r.online === v).length;
  return (
    <div class="view">
      <div class="view-head">
        <h1>{t("cam.title")}</h1>
        <Segments label={t("cam.state")} value={state} onChange={setState} testid="camera-state"
          choices={[{ value: "", text: `${t("common.all")} ${all.length}` }, ...(["yes", "no", "unknown"] as const).map((v) => ({ value: v, text: `${t(onlineWord[v])} ${count(v)}` }))]} />
        <SearchBox label={t("cam.search")} value={text} onInput={setText} testid="camera-search" />
      </div>
      <DevicesPanel />
      {list.error && <Notice error text={t("error.load")} hint={list.error} onRetry={list.reload} />}
      {!list.data && list.loading && <Notice text={t("common.loading")} />}
      {list.data && all.length === 0 && <Notice text={t("cam.empty")} />}
      {all.length > 0 && rows.length === 0 && <Notice text={t("cam.nomatch")} />}
      {rows.length > 0 && (
        <div class="table-wrap">
          <table class="table table-cameras">
            <thead><tr>
              <th scope="col">{t("cam.name")}</th><th scope="col">{t("cam.state")}</th>
              {factNames.map((f) => <th key={f} scope="col">{t(`fact.${f}`)}</th>)}
              <th scope="col">{t("cam.seen")}</th>
            </tr></thead>
            <tbody>{rows.map((r) => <CameraLine key={r.camera.id} row={r} />)}</tbody>
          </table>
        </div>
      )}
    </div>
  );
}

function pick(all: CameraRow[], state: string, text: string): CameraRow[] {
  const wanted = text.trim().toLowerCase();
  return all
    .filter((r) => !state || r.online === state)
    .filter((r) => !wanted || [r.camera.id, r.camera.name, r.camera.division_name, r.camera.division, r.camera.place].join(" ").toLowerCase().includes(wanted))
    .sort((a, b) => order[a.online] - order[b.online] || (a.camera.id < b.camera.id ? -1 : 1));
}

function CameraLine({ row }: { row: CameraRow }) {
  const { camera } = row;
  const analysed = Boolean(camera.legal_basis) && camera.legal_basis !== "unknown";
  return (
    <tr data-testid="camera-row" data-camera={camera.id} data-online={row.online}>
      <th scope="row">
        <span class="cell-main">{camera.name || camera.id}</span> <span class="muted num">{camera.id}</span>
        <div class="muted">{[camera.division_name || camera.division, camera.place].filter(Boolean).join(" · ")}</div>
        <div class="muted">{t("cam.basis")}: {analysed ? camera.legal_basis : <span class="bad">{t("cam.basis.unknown")}</span>}</div>
      </th>
      <td><span class={`dot dot-${row.online}`}>{t(onlineWord[row.online] ?? "cam.unknown")}</span><Degraded row={row} />{analysed && row.online === "yes" && <Wake row={row} />}</td>
      {factNames.map((f) => <FactCell key={f} name={f} fact={row.state?.[f]} />)}
      <td class="nowrap"><Age since={row.seen_at} ago /><div class="muted">{row.node}</div></td>
    </tr>
  );
}

/** Degraded says that the node had no time for the whole camera. */
function Degraded({ row }: { row: CameraRow }) {
  const a = row.state?.analysis;
  if (a?.level !== "degraded" || row.online === "unknown") return null;
  return <div class="degraded" data-testid="degraded" title={t("cam.degraded.why", { n: Math.round(a.analysed_s), of: Math.round(a.of_s) })}>{t("cam.degraded")} {Math.round(a.analysed_s)}/{Math.round(a.of_s)} s</div>;
}

/** Wake has all pictures of a camera analysed for some seconds. It shows none, so the access register takes no row. */
function Wake({ row }: { row: CameraRow }) {
  const [busy, setBusy] = useState(false);
  const name = row.camera.name || row.camera.id;
  const ask = async (): Promise<void> => {
    setBusy(true);
    try {
      await post(`/cameras/${encodeURIComponent(row.camera.id)}/wake`, undefined);
      toast(t("cam.wake.done", { name, node: row.node ?? "" }));
    } catch (e) {
      toast(explain(e), { kind: "error" });
    }
    setBusy(false);
  };
  return <div><button type="button" class="button-small" disabled={busy} title={t("cam.wake.hint")} aria-label={`${t("cam.wake")}: ${name}`} onClick={() => void ask()} data-testid="wake">{t("cam.wake")}</button></div>;
}

function FactCell({ name, fact }: { name: FactName; fact: Fact | undefined }) {
  const value = fact?.value ?? "unknown";
  const why = known("why", fact?.reason);
  const hint = value === "yes" && !fact?.reason ? "" : hintFor(fact);
  const since = fact?.since && !fact.since.startsWith("0001-") ? fact.since : "";
  return (
    <td class="fact" data-fact={name} data-value={value}>
      <span class="fact-name">{t(`fact.${name}`)}</span>
      <span class={`dot dot-${fact?.reason === "not_offered" ? "none" : value}`}>{t(`common.${value}`)}</span>
      {why && <div>{why}</div>}
      {hint && <div class="fact-hint">{hint}</div>}
      {since && <div class="muted num" title={stamp(since)}>{t("cam.since", { time: short(since, serverNow()) })}</div>}
    </td>
  );
}

/** hintFor is what to do: our sentence for the reason, else the edge's own words. */
function hintFor(fact: Fact | undefined): string {
  const key = `hint.${fact?.reason ?? ""}`;
  return key in words.zh ? t(key as Key) : (fact?.hint ?? "");
}

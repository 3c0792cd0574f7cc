// Coverage: each figure with what it is made from, and the villages behind it.
import { useMemo, useState } from "preact/hooks";
import { selectVillages, verdict, villagesCSV, type Column, type Sort } from "../coverage-table";
import { download } from "../csv";
import { percent, stamp } from "../format";
import { get } from "../http";
import { known, lang, t } from "../i18n";
import { Icon } from "../icons";
import type { Coverage, Figure, Village } from "../model";
import { useValue } from "../observable";
import { useResource } from "../resource";
import { Notice, SearchBox, Select } from "../widgets";

/** Rows drawn at once; a province has 22,080 villages. */
const chunk = 200;

export function CoverageView() {
  useValue(lang);
  const [division, setDivision] = useState("");
  const report = useResource(division, (signal) => get<Coverage>(`/coverage${division ? `?division=${encodeURIComponent(division)}` : ""}`, signal));
  const c = report.data;
  return (
    <div class="view">
      <div class="view-head">
        <h1>{t("cov.title")}</h1>
        {c?.scope?.name && <span>{c.scope.name}</span>}
        <form class="field-inline" onSubmit={(e) => { e.preventDefault(); setDivision(String(new FormData(e.currentTarget as HTMLFormElement).get("division")).trim()); }}>
          <span>{t("cov.division")}</span>
          <input name="division" class="search search-code num" inputMode="numeric" pattern="(\d{2}|\d{4}|\d{6}|\d{9}|\d{12})?" placeholder="360921" aria-label={t("cov.division")} data-testid="coverage-division" />
        </form>
        <button type="button" class="button" disabled={report.loading} onClick={report.reload} data-testid="coverage-refresh"><Icon name="refresh" />{t("common.refresh")}</button>
        {c && <span class="muted num">{t("common.asof", { time: stamp(c.as_of) })}</span>}
      </div>
      {report.error && <Notice error text={t("error.load")} hint={report.error} onRetry={report.reload} />}
      {!c && report.loading && <Notice text={t("common.loading")} />}
      {c && <div class="figures">{(c.figures ?? []).map((f) => <FigureCard key={f.id} figure={f} asOf={c.as_of} />)}</div>}
      {c && <Villages report={c} />}
    </div>
  );
}

function FigureCard({ figure: f, asOf }: { figure: Figure; asOf: string }) {
  const l = useValue(lang);
  const na = f.value === null || f.value === undefined;
  const target = f.target ?? null;
  const met = na || target === null ? null : (f.value as number) >= target;
  return (
    <section class="figure panel" aria-label={f.id} data-testid="figure" data-id={f.id}>
      <header><span class="figure-id num">{f.id}</span><h2>{l === "en" ? f.name_en || f.name : f.name}</h2></header>
      <div class="figure-value">
        <strong class={na ? "num figure-na" : "num"} data-testid="figure-value">{percent(f.value)}</strong>
        <span class="num" title={t("cov.fraction.label")}>{t("cov.fraction", { n: f.numerator, d: f.denominator })}</span>
      </div>
      {na && <p class="muted">{t("cov.na")}</p>}
      <dl>
        {target !== null && <div><dt>{t("cov.target")}</dt><dd class="num">≥ {percent(target)} {met !== null && <span class={met ? "good" : "bad"}>{t(met ? "cov.met" : "cov.notmet")}</span>}</dd></div>}
        {f.unknown ? <div><dt>{t("cov.unknown")}</dt><dd class="num">{f.unknown}</dd></div> : null}
        <div><dt>{t("cov.formula")}</dt><dd>{f.formula}</dd></div>
        <div><dt>{t("cov.asof")}</dt><dd class="num">{stamp(f.as_of ?? asOf)}</dd></div>
      </dl>
    </section>
  );
}

const columns: { column: Column; word: "village" | "kind" | "town" | "points" | "shortfall" | "cameras" | "states" }[] = [
  { column: "name", word: "village" },
  { column: "kind", word: "kind" },
  { column: "town", word: "town" },
  { column: "points", word: "points" },
  { column: "shortfall", word: "shortfall" },
  { column: "cameras", word: "cameras" },
  { column: "online", word: "states" },
];

function Villages({ report }: { report: Coverage }) {
  const l = useValue(lang);
  const [text, setText] = useState("");
  const [kind, setKind] = useState("");
  const [onlyShort, setOnlyShort] = useState(false);
  const [sort, setSort] = useState<Sort>({ column: "points", down: true });
  const [limit, setLimit] = useState(chunk);
  const all = useMemo(() => report.villages ?? [], [report]);
  const rows = useMemo(() => selectVillages(all, { text, kind, onlyShort }, sort, l === "zh" ? "zh-CN" : "en"), [all, text, kind, onlyShort, sort, l]);
  if (all.length === 0) return <Notice text={t("cov.empty")} testid="coverage-empty" />;
  const min = report.standard?.min_points ?? 0;
  const total = report.villages_limited ? (report.villages_total ?? all.length) : all.length;
  const save = (): void => download(`coverage-${stamp(report.as_of).slice(0, 10)}.csv`, villagesCSV(rows, stamp(report.as_of), min));
  return (
    <section class="panel panel-table" aria-label={t("cov.village")}>
      <div class="view-head">
        <SearchBox label={t("cov.search")} value={text} onInput={setText} testid="coverage-search" />
        <Select label={t("cov.kind")} value={kind} choices={[{ value: "", text: t("common.all") }, ...["village", "community", "other"].map((k) => ({ value: k, text: known("kind", k) }))]} onChange={setKind} testid="coverage-kind" />
        <label class="check"><input type="checkbox" checked={onlyShort} onChange={(e) => setOnlyShort(e.currentTarget.checked)} data-testid="coverage-short" />{t("cov.onlyShort")}</label>
        <span class="muted">{t("cov.standard", { n: min })}</span>
        <span class="muted num spread">{t("common.shown", { n: Math.min(rows.length, limit), all: total })}</span>
        <button type="button" class="button" onClick={save} data-testid="coverage-csv"><Icon name="download" />{t("cov.csv")}</button>
      </div>
      {report.villages_limited && <p class="form-note">{t("cov.limited", { n: all.length, all: total })}</p>}
      {report.unplaced ? <p class="form-note">{t("cov.unplaced", { n: report.unplaced })}</p> : null}
      {rows.length === 0 && <Notice text={t("cov.nomatch")} />}
      <div class="table-wrap">
        <table class="table">
          <thead><tr>{columns.map((c) => <SortHead key={c.column} {...c} sort={sort} onSort={setSort} />)}</tr></thead>
          <tbody>{rows.slice(0, limit).map((v) => <VillageRow key={v.code} village={v} min={min} />)}</tbody>
        </table>
        {rows.length > limit && <button type="button" class="button table-more" onClick={() => setLimit(limit + chunk)}>{t("common.more")}</button>}
      </div>
      {report.divisions && <p class="form-hint">{t("cov.source", { source: report.divisions })}</p>}
    </section>
  );
}

function SortHead(p: (typeof columns)[number] & { sort: Sort; onSort: (s: Sort) => void }) {
  const mine = p.sort.column === p.column;
  const name = t(`cov.${p.word}`);
  return (
    <th scope="col" aria-sort={mine ? (p.sort.down ? "descending" : "ascending") : "none"}>
      <button type="button" class="sort" title={t("cov.sort", { col: name })} onClick={() => p.onSort({ column: p.column, down: mine ? !p.sort.down : false })}>
        {name}{mine && <Icon name={p.sort.down ? "down" : "up"} />}
      </button>
    </th>
  );
}

function VillageRow({ village: v, min }: { village: Village; min: number }) {
  const judged = verdict(v);
  const share = min > 0 ? Math.min(1, v.points / min) : 1;
  return (
    <tr data-testid="coverage-row" data-code={v.code} data-points={v.points} data-ok={judged}>
      <th scope="row"><span class="cell-main">{v.name}</span> <span class="muted num">{v.code}</span></th>
      <td class="nowrap">{known("kind", v.kind)}</td>
      <td>{v.town}</td>
      <td>
        <div class="bar-cell">
          <span class="num">{judged === "notapplicable" ? v.points : `${v.points} / ${min}`}</span>
          {judged !== "notapplicable" && <div class="bar" aria-hidden="true"><span class={judged === "ok" ? "bar-good" : "bar-short"} style={{ width: `${share * 100}%` }} /></div>}
        </div>
      </td>
      <td class="nowrap">{judged === "notapplicable" ? <span class="muted">{t("cov.notapplicable")}</span> : judged === "ok" ? <span class="good"><Icon name="check" />{t("cov.ok")}</span> : <span class="bad num">−{v.shortfall}</span>}</td>
      <td class="num">{v.cameras}</td>
      <td><Stack village={v} /></td>
    </tr>
  );
}

/** Stack shows online, offline and unknown as shares, and says them in words. */
function Stack({ village: v }: { village: Village }) {
  const all = v.online + v.offline + v.unknown;
  const parts = (["online", "offline", "unknown"] as const).map((k) => ({ k, n: v[k] }));
  return (
    <div class="bar-cell">
      <span class={all > 0 ? "stack-text num" : "stack-text stack-none num"}>{parts.map((p) => <span key={p.k} class={`stack-${p.k}`} title={t(`cov.${p.k}`)}>{p.n}</span>)}</span>
      {all > 0 && <div class="bar stack" aria-hidden="true">{parts.filter((p) => p.n > 0).map((p) => <span key={p.k} class={`fill-${p.k}`} style={{ width: `${(p.n / all) * 100}%` }} />)}</div>}
    </div>
  );
}

// The access register: who looked at what, and when. For administrators.
import { short, stamp } from "../format";
import { serverNow } from "../http";
import { known, lang, t } from "../i18n";
import { Icon } from "../icons";
import type { AccessRow, RegisterPage } from "../model";
import { useValue } from "../observable";
import { useList } from "../resource";
import { session } from "../session";
import { Notice } from "../widgets";

export function RegisterView() {
  useValue(lang);
  const { session: s } = useValue(session);
  if (s?.user.role !== "admin") return <div class="view"><h1>{t("reg.title")}</h1><Notice error text={t("reg.admin")} /></div>;
  return <Register />;
}

function Register() {
  const list = useList<RegisterPage>("/access-register");
  return (
    <div class="view">
      <div class="view-head">
        <h1>{t("reg.title")}</h1>
        <button type="button" class="button" disabled={list.loading} onClick={list.reload}><Icon name="refresh" />{t("common.refresh")}</button>
        <Chain ok={list.data?.chain?.ok} />
        <span class="muted">{t("reg.lead")}</span>
      </div>
      {list.error && <Notice error text={t("error.load")} hint={list.error} onRetry={list.reload} />}
      {!list.data && list.loading && <Notice text={t("common.loading")} />}
      {list.data && list.items.length === 0 && <Notice text={t("reg.empty")} />}
      {list.items.length > 0 && (
        <div class="table-wrap">
          <table class="table" data-testid="register">
            <thead><tr>{(["seq", "time", "user", "unit", "action", "target", "reason", "ip"] as const).map((c) => <th key={c} scope="col">{t(`reg.${c}`)}</th>)}</tr></thead>
            <tbody>{list.items.map((r) => <Line key={r.seq} row={r} />)}</tbody>
          </table>
          {list.data?.next && <button type="button" class="button table-more" onClick={() => void list.older()}>{t("common.more")}</button>}
        </div>
      )}
    </div>
  );
}

function Chain({ ok }: { ok: boolean | undefined }) {
  if (ok === undefined) return null;
  return <span class={ok ? "good" : "bad"} role={ok ? undefined : "alert"}><Icon name={ok ? "check" : "warning"} />{t(ok ? "reg.chain.ok" : "reg.chain.bad")}</span>;
}

function Line({ row }: { row: AccessRow }) {
  return (
    <tr data-testid="register-row">
      <td class="num">{row.seq}</td>
      <td class="num nowrap" title={stamp(row.at)}>{short(row.at, serverNow())}</td>
      <td class="nowrap">{row.name || row.login}{row.name && row.login && row.name !== row.login && <span class="muted"> {row.login}</span>}</td>
      <td>{[row.unit, row.post].filter(Boolean).join(" · ")}</td>
      <td class="nowrap">{known("action", row.action)}</td>
      <td><span class="num">{(row.cameras ?? []).join(", ")}</span> {row.from && <span class="muted num">{short(row.from, serverNow())}</span>}</td>
      <td>{[known("ground", row.reason), row.reason_text, row.case_no].filter(Boolean).join(" · ")}</td>
      <td class="num nowrap">{row.client_ip}</td>
    </tr>
  );
}

// Dead letters: messages that no center could take. For administrators.
import { short, stamp } from "../format";
import { base, explain, post, request, serverNow } from "../http";
import { known, lang, t } from "../i18n";
import { Icon } from "../icons";
import { countLetters } from "../letters";
import type { Letter, LetterPage } from "../model";
import { useValue } from "../observable";
import { useList } from "../resource";
import { session } from "../session";
import { toast } from "../toast";
import { Notice } from "../widgets";

export function LettersView() {
  useValue(lang);
  const { session: s } = useValue(session);
  if (s?.user.role !== "admin") return <div class="view"><h1>{t("dead.title")}</h1><Notice error text={t("dead.admin")} /></div>;
  return <Letters />;
}

function Letters() {
  const list = useList<LetterPage>("/dead-letters");
  const act = async (f: () => Promise<unknown>, done: string): Promise<void> => {
    try {
      await f();
      toast(done);
    } catch (e) {
      toast(explain(e), { kind: "error" });
    }
    list.reload();
    void countLetters();
  };
  const requeue = (l: Letter): Promise<void> =>
    act(() => post(`/dead-letters/${encodeURIComponent(l.id)}/requeue`, {}), t("dead.requeued"));
  const remove = (l: Letter): Promise<void> => {
    const reason = prompt(t("dead.why"))?.trim();
    if (!reason) return Promise.resolve();
    return act(() => request(`${base}/dead-letters/${encodeURIComponent(l.id)}`, { method: "DELETE", body: { reason } }), t("dead.deleted"));
  };
  return (
    <div class="view">
      <div class="view-head">
        <h1>{t("dead.title")}</h1>
        <button type="button" class="button" disabled={list.loading} onClick={list.reload}><Icon name="refresh" />{t("common.refresh")}</button>
        {list.data && <span class="num">{t("dead.all", { n: list.data.all })}</span>}
        <span class="muted">{t("dead.lead")}</span>
      </div>
      {list.error && <Notice error text={t("error.load")} hint={list.error} onRetry={list.reload} />}
      {!list.data && list.loading && <Notice text={t("common.loading")} />}
      {list.data && list.items.length === 0 && <Notice text={t("dead.empty")} />}
      {list.items.length > 0 && (
        <div class="table-wrap">
          <table class="table" data-testid="letters">
            <thead><tr>{(["time", "reason", "node", "kind", "camera", "error", "act"] as const).map((c) => <th key={c} scope="col">{t(`dead.${c}`)}</th>)}</tr></thead>
            <tbody>{list.items.map((l) => <Line key={l.id} letter={l} onRequeue={requeue} onDelete={remove} />)}</tbody>
          </table>
          {list.data?.next && <button type="button" class="button table-more" onClick={() => void list.older()}>{t("common.more")}</button>}
        </div>
      )}
    </div>
  );
}

function Line({ letter: l, onRequeue, onDelete }: { letter: Letter; onRequeue: (l: Letter) => Promise<void>; onDelete: (l: Letter) => Promise<void> }) {
  return (
    <tr data-testid="letter-row">
      <td class="num nowrap" title={`${stamp(l.at)} · ${l.id}`}>{short(l.at, serverNow())}</td>
      <td class="nowrap">{known("deadreason", l.reason)}{l.deliveries > 1 && <span class="muted num"> ×{l.deliveries}</span>}</td>
      <td class="num">{l.node}</td>
      <td class="nowrap">{l.kind ? known("deadkind", l.kind) : "–"}</td>
      <td class="num" title={l.alert}>{l.camera}</td>
      <td>{l.error}</td>
      <td class="nowrap">
        <button type="button" class="button-small" onClick={() => void onRequeue(l)} data-testid="requeue">{t("dead.requeue")}</button>{" "}
        <button type="button" class="button-small" onClick={() => void onDelete(l)} data-testid="delete-letter">{t("dead.delete")}</button>
      </td>
    </tr>
  );
}

// The two small dialogs of a decision. Each is done with one more key.
import { useEffect, useState } from "preact/hooks";
import { explain } from "../http";
import { lang, t } from "../i18n";
import type { Category, Dismissal, Row } from "../model";
import { useValue } from "../observable";
import { confirm, dismiss, eventCategories } from "../wall/feed";
import { category, what, where } from "../wall/wording";
import { Dialog } from "../widgets";

export const dismissals: Dismissal[] = ["false_alarm", "known", "no_action"];

/** The server takes titles of 100 characters. */
const maxTitle = 100;

/** nearest is the code itself when the table has it, else one of its group, else "other". */
export function nearest(table: Category[], code: string): string {
  const group = code.slice(0, 2);
  const found = table.find((c) => c.code === code) ?? table.find((c) => c.code.startsWith(group)) ?? table.find((c) => c.code.startsWith("99")) ?? table[0];
  return found?.code ?? code;
}

/** ConfirmDialog makes the event: the category is chosen already, Enter is enough. */
export function ConfirmDialog({ row, onClose }: { row: Row; onClose: () => void }) {
  const l = useValue(lang);
  const [list, setList] = useState<Category[]>([]);
  const [code, setCode] = useState(category(row.alert));
  const [note, setNote] = useState("");
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    eventCategories().then(
      (table) => {
        setList(table);
        setCode((now) => nearest(table, now));
      },
      (e: unknown) => setError(explain(e)),
    );
  }, []);
  const choices = list.length > 0 ? list : [{ code, name: code }];
  const submit = async (e: Event): Promise<void> => {
    e.preventDefault();
    if (busy) return;
    setBusy(true);
    if (await confirm(row.alert.id, { category: code, title: what(row.alert).slice(0, maxTitle), note: note.trim() })) onClose();
    else setBusy(false);
  };
  return (
    <Dialog title={t("act.confirm.title")} onClose={onClose} testid="confirm-dialog">
      <form onSubmit={submit}>
        <p class="dialog-lead"><strong>{what(row.alert)}</strong><span>{where(row)}</span></p>
        <label class="field"><span>{t("act.category")}</span>
          <select data-autofocus value={code} onChange={(e) => setCode(e.currentTarget.value)} data-testid="confirm-category"
            onKeyDown={(e) => { if (e.key === "Enter") void submit(e); }}>
            {choices.map((c) => <option key={c.code} value={c.code}>{`${c.code} ${l === "en" ? c.name_en || c.name : c.name}`}</option>)}
          </select>
        </label>
        <label class="field"><span>{t("act.note")}</span><input value={note} maxLength={1000} onInput={(e) => setNote(e.currentTarget.value)} data-testid="confirm-note" /></label>
        {error && <p class="form-error" role="alert">{error}</p>}
        <div class="dialog-actions">
          <span class="form-hint">{t("act.enter")}</span>
          <button type="button" class="button" onClick={onClose}>{t("common.cancel")}</button>
          <button type="submit" class="button button-primary" disabled={busy} data-testid="confirm-submit">{t("act.submit")}</button>
        </div>
      </form>
    </Dialog>
  );
}

/** DismissDialog asks for the reason; 1, 2 and 3 answer it. */
export function DismissDialog({ row, onClose }: { row: Row; onClose: () => void }) {
  const [note, setNote] = useState("");
  const choose = (reason: Dismissal): void => {
    onClose();
    void dismiss(row.alert.id, reason, note.trim());
  };
  return (
    <Dialog title={t("act.dismiss.title")} onClose={onClose} testid="dismiss-dialog">
      <div onKeyDown={(e) => {
        const reason = dismissals[Number(e.key) - 1];
        if (!reason || e.repeat || e.target instanceof HTMLInputElement) return;
        e.preventDefault();
        choose(reason);
      }}>
        <p class="dialog-lead"><strong>{what(row.alert)}</strong><span>{where(row)}</span></p>
        <div class="choices">
          {dismissals.map((reason, i) => (
            <button key={reason} type="button" class="choice" data-autofocus={i === 0 ? true : undefined} onClick={() => choose(reason)} data-testid={`choose-${reason}`}>
              <kbd>{i + 1}</kbd><span><strong>{t(`reason.${reason}`)}</strong><span>{t(`reason.${reason}.hint`)}</span></span>
            </button>
          ))}
        </div>
        <label class="field"><span>{t("act.note")}</span><input value={note} maxLength={1000} onInput={(e) => setNote(e.currentTarget.value)} /></label>
      </div>
    </Dialog>
  );
}

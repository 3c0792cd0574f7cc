// Short messages at the lower edge, with at most one thing to do each.
import { t } from "./i18n";
import { Icon } from "./icons";
import { Observable, useValue } from "./observable";

export interface Toast {
  id: number;
  text: string;
  kind: "info" | "error";
  action?: { label: string; run: () => void };
}

export const toasts = new Observable<Toast[]>([]);
/** More would cover the cards of a wall where decisions come fast; u reaches the older ones. */
const most = 2;
let lastID = 0;

export function dropToast(id: number): void {
  toasts.update((list) => list.filter((x) => x.id !== id));
}

/** toast shows a message for some seconds; errors stay longer. */
export function toast(text: string, o: { kind?: Toast["kind"]; action?: Toast["action"]; ms?: number } = {}): number {
  const id = ++lastID;
  const kind = o.kind ?? "info";
  // The same sentence twice is one toast.
  const others = toasts.get().filter((x) => x.text !== text);
  toasts.set([...others, { id, text, kind, ...(o.action ? { action: o.action } : {}) }].slice(-most));
  setTimeout(() => dropToast(id), o.ms ?? (kind === "error" ? 10_000 : 5_000));
  return id;
}

export function Toasts() {
  const list = useValue(toasts);
  return (
    <div class="toasts" role="status" aria-live="polite" data-testid="toasts">
      {list.map((x) => (
        <div key={x.id} class={`toast toast-${x.kind}`} data-testid="toast">
          <Icon name={x.kind === "error" ? "warning" : "check"} />
          <span>{x.text}</span>
          {x.action && (
            <button type="button" class="button" onClick={() => { dropToast(x.id); x.action?.run(); }} data-testid="toast-action">{x.action.label}</button>
          )}
          <button type="button" class="button-icon" aria-label={t("common.close")} onClick={() => dropToast(x.id)}><Icon name="cross" /></button>
        </div>
      ))}
    </div>
  );
}

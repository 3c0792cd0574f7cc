// Small parts that several views share.
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { second } from "./clock";
import { age, roman, secondsSince } from "./format";
import { serverNow } from "./http";
import { lang, t } from "./i18n";
import { Icon } from "./icons";
import { useValue } from "./observable";

/** Age ticks: how long ago a time was, by the server's clock. */
export function Age({ since, ago = false }: { since: string | undefined; ago?: boolean }) {
  useValue(second);
  const l = useValue(lang);
  const s = secondsSince(since, serverNow());
  if (s === null) return <span>–</span>;
  const text = age(s, l);
  return <time dateTime={since} class="num">{ago ? t("common.ago", { age: text }) : text}</time>;
}

/** Level is the hazard level as colour and numeral. */
export function Level({ level }: { level: number }) {
  return <span class={`level level-${level}`} title={t("wall.level", { roman: roman(level) })}>{t("wall.level", { roman: roman(level) })}</span>;
}

/** Dialog is a modal on the browser's own dialog element, which keeps the focus inside and closes on Escape. */
export function Dialog(p: { title: string; onClose: () => void; testid: string; wide?: boolean; children: ComponentChildren }) {
  const ref = useRef<HTMLDialogElement>(null);
  const before = useRef<Element | null>(null);
  useEffect(() => {
    const d = ref.current;
    before.current = document.activeElement;
    if (d && !d.open) d.showModal();
    d?.querySelector<HTMLElement>("[data-autofocus]")?.focus();
    return () => {
      d?.close();
      if (before.current instanceof HTMLElement && before.current.isConnected) before.current.focus();
    };
  }, []);
  return (
    <dialog ref={ref} class={p.wide ? "dialog dialog-wide" : "dialog"} aria-label={p.title} data-testid={p.testid}
      onCancel={(e) => { e.preventDefault(); p.onClose(); }}
      onMouseDown={(e) => { if (e.target === ref.current) p.onClose(); }}>
      <div class="dialog-body">
        <header class="dialog-head">
          <h2>{p.title}</h2>
          <button type="button" class="button-icon" aria-label={t("common.close")} onClick={p.onClose}><Icon name="cross" /></button>
        </header>
        {p.children}
      </div>
    </dialog>
  );
}

/** Notice stands where there is nothing else to show: empty, loading, failed. */
export function Notice(p: { text: string; hint?: ComponentChildren; error?: boolean; onRetry?: () => void; testid?: string }) {
  return (
    <div class={p.error ? "notice notice-error" : "notice"} role={p.error ? "alert" : undefined} data-testid={p.testid ?? "notice"}>
      <Icon name={p.error ? "warning" : "quiet"} />
      <strong>{p.text}</strong>
      {p.hint && <span>{p.hint}</span>}
      {p.onRetry && <button type="button" class="button" onClick={p.onRetry}>{t("common.retry")}</button>}
    </div>
  );
}

export interface Choice {
  value: string;
  text: string;
}

/** Segments is a row of exclusive choices. */
export function Segments(p: { label: string; value: string; choices: Choice[]; onChange: (v: string) => void; testid: string }) {
  return (
    <div class="segments" role="group" aria-label={p.label} data-testid={p.testid}>
      {p.choices.map((c) => (
        <button key={c.value} type="button" aria-pressed={c.value === p.value} data-value={c.value} onClick={() => p.onChange(c.value)}>{c.text}</button>
      ))}
    </div>
  );
}

/** Select is a labelled drop-down. */
export function Select(p: { label: string; value: string; choices: Choice[]; onChange: (v: string) => void; testid: string }) {
  return (
    <label class="field-inline">
      <span>{p.label}</span>
      <select value={p.value} onChange={(e) => p.onChange(e.currentTarget.value)} data-testid={p.testid}>
        {p.choices.map((c) => <option key={c.value} value={c.value}>{c.text}</option>)}
      </select>
    </label>
  );
}

/** SearchBox is a text filter. */
export function SearchBox(p: { label: string; value: string; onInput: (v: string) => void; testid: string }) {
  return <input class="search" type="search" placeholder={p.label} aria-label={p.label} value={p.value} onInput={(e) => p.onInput(e.currentTarget.value)} data-testid={p.testid} />;
}

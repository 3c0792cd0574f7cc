// A thing that a view reads from the server: loading, shown, or failed, and
// read again on demand. What was shown stays while it is read again.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { explain, get } from "./http";
import type { Page } from "./model";
import { toast } from "./toast";

export interface Resource<T> {
  data: T | null;
  error: string;
  loading: boolean;
  reload: () => void;
  set: (f: (now: T) => T) => void;
}

/** useResource reads once, again when key changes, and on reload. */
export function useResource<T>(key: string, read: (signal: AbortSignal) => Promise<T>): Resource<T> {
  const [state, setState] = useState<{ data: T | null; error: string; loading: boolean }>({ data: null, error: "", loading: true });
  const [turn, setTurn] = useState(0);
  const shownKey = useRef(key);
  useEffect(() => {
    const control = new AbortController();
    const fresh = shownKey.current !== key;
    shownKey.current = key;
    setState((s) => ({ data: fresh ? null : s.data, error: "", loading: true }));
    read(control.signal).then(
      (data) => { if (!control.signal.aborted) setState({ data, error: "", loading: false }); },
      (e: unknown) => { if (!control.signal.aborted) setState((s) => ({ ...s, error: explain(e), loading: false })); },
    );
    return () => control.abort();
  }, [key, turn]);
  const reload = useCallback(() => setTurn((n) => n + 1), []);
  // What was begun with another key changes nothing.
  const set = useCallback((f: (now: T) => T) => setState((s) => (s.data === null || shownKey.current !== key ? s : { ...s, data: f(s.data) })), [key]);
  return { ...state, reload, set };
}

export interface List<P extends Page<unknown>> extends Resource<P> {
  items: P["items"];
  older: () => Promise<void>;
}

/**
 * append joins the page that came before the cursor to what is shown, unless that
 * ends elsewhere by now: it was read again meanwhile.
 */
export function append<P extends Page<unknown>>(shown: P, cursor: string, page: P): P {
  if (shown.next !== cursor) return shown;
  return { ...shown, items: [...(shown.items ?? []), ...(page.items ?? [])], next: page.next ?? "" };
}

/**
 * useList is useResource for what comes in pages of 100: older appends the next one.
 * What the pages hold beside their items stays that of the first.
 */
export function useList<P extends Page<unknown>>(path: string, filter: Record<string, string> = {}): List<P> {
  const address = (before: string): string => {
    const q = new URLSearchParams({ limit: "100", ...filter });
    if (before) q.set("before", before);
    return `${path}?${q}`;
  };
  const first = address("");
  const list = useResource(first, (signal) => get<P>(first, signal));
  const older = async (): Promise<void> => {
    const cursor = list.data?.next ?? "";
    try {
      const page = await get<P>(address(cursor));
      list.set((shown) => append(shown, cursor, page));
    } catch (e) {
      toast(explain(e), { kind: "error" });
    }
  };
  return { ...list, items: list.data?.items ?? [], older };
}

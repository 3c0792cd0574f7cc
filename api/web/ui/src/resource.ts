// A thing that a view reads from the server: loading, shown, or failed, and
// read again on demand. What was shown stays while it is read again.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { explain } from "./http";

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
  const set = useCallback((f: (now: T) => T) => setState((s) => (s.data === null ? s : { ...s, data: f(s.data) })), []);
  return { ...state, reload, set };
}

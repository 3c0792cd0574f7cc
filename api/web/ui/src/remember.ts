// Settings kept in this browser. Storage may be refused (private window,
// policy): then the setting lives as long as the page.
import { Observable } from "./observable";

const prefix = "sharpeyes.";

function read(key: string): string | null {
  try {
    return globalThis.localStorage?.getItem(prefix + key) ?? null;
  } catch {
    return null;
  }
}

function write(key: string, value: string): void {
  try {
    globalThis.localStorage?.setItem(prefix + key, value);
  } catch {
    // Kept in memory only.
  }
}

/** remembered is a text setting that is read once and written on each change. */
export function remembered<T extends string>(key: string, otherwise: T, ok: (v: string) => boolean): Observable<T> {
  const stored = read(key);
  const o = new Observable<T>(stored !== null && ok(stored) ? (stored as T) : otherwise);
  o.listen(() => write(key, o.get()));
  return o;
}

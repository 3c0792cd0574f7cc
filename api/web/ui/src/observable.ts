// A value with listeners: all the state management this page needs.
import { useEffect, useState } from "preact/hooks";

export class Observable<T> {
  private listeners = new Set<() => void>();
  constructor(private current: T) {}

  get(): T {
    return this.current;
  }

  set(next: T): void {
    if (Object.is(next, this.current)) return;
    this.current = next;
    for (const f of [...this.listeners]) f();
  }

  update(f: (now: T) => T): void {
    this.set(f(this.current));
  }

  /** listen calls f after each change until the returned function is called. */
  listen(f: () => void): () => void {
    this.listeners.add(f);
    return () => this.listeners.delete(f);
  }
}

/** useValue renders the component again whenever the value changes. */
export function useValue<T>(o: Observable<T>): T {
  const [, render] = useState(0);
  const shown = o.get();
  useEffect(() => {
    const again = (): void => render((n) => n + 1);
    if (!Object.is(o.get(), shown)) again(); // it changed after it was shown and before anybody listened
    return o.listen(again);
  }, [o]);
  return shown;
}

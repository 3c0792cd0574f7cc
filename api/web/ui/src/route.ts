// Views by address: #/wall, #/events and so on.
import { Observable } from "./observable";

export const views = ["wall", "events", "coverage", "cameras", "register", "letters", "help"] as const;
export type View = (typeof views)[number];

/** viewOf reads the view from a hash; anything unknown is the wall. */
export function viewOf(hash: string): View {
  const name = hash.replace(/^#\/?/, "").split(/[/?]/)[0] ?? "";
  return (views as readonly string[]).includes(name) ? (name as View) : "wall";
}

export const route = new Observable<View>(viewOf(globalThis.location?.hash ?? ""));

export function followRoute(): void {
  addEventListener("hashchange", () => route.set(viewOf(location.hash)));
}

export function go(view: View): void {
  location.hash = `#/${view}`;
}

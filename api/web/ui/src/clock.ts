// One tick a second for every age on the page.
import { Observable } from "./observable";

export const second = new Observable(Date.now());

/** startClock ticks until the returned function is called. */
export function startClock(each: () => void): () => void {
  const timer = setInterval(() => {
    second.set(Date.now());
    each();
  }, 1000);
  return () => clearInterval(timer);
}

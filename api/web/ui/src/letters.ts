// How many dead letters there are, for the badge that an administrator sees.
import { get } from "./http";
import type { LetterPage } from "./model";
import { Observable } from "./observable";
import { session } from "./session";

const everyMs = 60_000;

/** letterCount is how many there were when it was last asked. */
export const letterCount = new Observable(0);

/** countLetters asks, for an administrator only. A failure leaves the count as it was. */
export async function countLetters(): Promise<void> {
  if (session.get().session?.user.role !== "admin") {
    letterCount.set(0);
    return;
  }
  try {
    letterCount.set((await get<LetterPage>("/dead-letters?limit=1")).all);
  } catch {
    // The view itself says what is wrong; the badge waits for the next minute.
  }
}

/** watchLetters asks now and every minute until the function that it returns is called. */
export function watchLetters(): () => void {
  void countLetters();
  const timer = setInterval(() => void countLetters(), everyMs);
  return () => clearInterval(timer);
}

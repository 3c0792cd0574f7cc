// The one live connection of the page: opens /stream, says truthfully how it
// is, reconnects with Last-Event-ID, and treats a line without heartbeat as dead.
import { ApiError, base, request } from "./http";
import { Observable } from "./observable";
import { backoff, EventParser, type Message } from "./sse";

export interface LiveState {
  phase: "off" | "connecting" | "live" | "reconnecting";
  /** since when this phase holds, this computer's ms. */
  since: number;
  /** when the last message (not heartbeat) came, or 0. */
  lastMessage: number;
}

/** The server sends a comment every 15 s; after two and a bit missed the line is dead. */
const silenceMs = 40_000;

export const live = new Observable<LiveState>({ phase: "off", since: Date.now(), lastMessage: 0 });

type Handler = (m: Message) => void;

/** Live owns the connection; start and stop may be called any number of times. */
export class Live {
  private control: AbortController | null = null;
  private lastID = "";

  constructor(private readonly onMessage: Handler) {}

  start(): void {
    if (this.control) return;
    const control = new AbortController();
    this.control = control;
    this.phase("connecting");
    void this.loop(control.signal);
  }

  stop(): void {
    this.control?.abort();
    this.control = null;
    this.lastID = "";
    this.phase("off");
  }

  private phase(phase: LiveState["phase"]): void {
    if (live.get().phase !== phase) live.update((s) => ({ ...s, phase, since: Date.now() }));
  }

  private async loop(stopped: AbortSignal): Promise<void> {
    for (let attempt = 0; !stopped.aborted; attempt++) {
      try {
        await this.connect(stopped, () => (attempt = 0));
      } catch (e) {
        if (e instanceof ApiError && e.status === 401) return; // the login view takes over
      }
      if (stopped.aborted) return;
      this.phase("reconnecting");
      await pause(backoff(attempt, Math.random()), stopped);
    }
  }

  private async connect(stopped: AbortSignal, opened: () => void): Promise<void> {
    const attempt = new AbortController();
    const abort = (): void => attempt.abort();
    stopped.addEventListener("abort", abort);
    let timer = setTimeout(abort, silenceMs);
    try {
      const headers: Record<string, string> = { Accept: "text/event-stream" };
      if (this.lastID) headers["Last-Event-ID"] = this.lastID;
      const r = await request(`${base}/stream`, { headers, signal: attempt.signal });
      if (!r.body) return;
      this.phase("live");
      opened();
      const parser = new EventParser((m) => this.take(m));
      const reader = r.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(timer);
        timer = setTimeout(abort, silenceMs);
        parser.push(value);
      }
    } finally {
      clearTimeout(timer);
      stopped.removeEventListener("abort", abort);
      attempt.abort();
    }
  }

  private take(m: Message): void {
    if (m.id) this.lastID = m.id;
    if (m.event !== "hello") live.update((s) => ({ ...s, lastMessage: Date.now() }));
    this.onMessage(m);
  }
}

function pause(ms: number, stopped: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    const now = (): void => {
      clearTimeout(timer);
      resolve();
    };
    stopped.addEventListener("abort", now, { once: true });
    // A network that comes back is a reason to try at once.
    globalThis.addEventListener?.("online", now, { once: true });
  });
}

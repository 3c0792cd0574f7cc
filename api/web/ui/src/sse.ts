// A reader of server-sent events (WHATWG HTML, 9.2.6) over fetch. EventSource
// hides the heartbeat comments and a refused connection; a video room needs to
// know that a silent line is dead, so the bytes are read here.

export interface Message {
  event: string;
  data: string;
  id: string;
}

/** EventParser cuts a byte stream into messages. It keeps at most maxBuffer characters of an unfinished one. */
export class EventParser {
  private buffer = "";
  private data: string[] = [];
  private event = "";
  private id = "";
  /** retryMs is the wait that the server last asked for, or 0. */
  retryMs = 0;

  constructor(
    private readonly emit: (m: Message) => void,
    private readonly maxBuffer = 4 << 20,
  ) {}

  /** push takes the next piece of text, cut anywhere. Throws when a message grows without end. */
  push(text: string): void {
    this.buffer += text;
    let from = 0;
    for (;;) {
      const end = this.lineEnd(from);
      if (end === null) break;
      this.line(this.buffer.slice(from, end.at));
      from = end.next;
    }
    this.buffer = this.buffer.slice(from);
    if (this.buffer.length > this.maxBuffer) throw new Error("event stream: a line without end");
  }

  private lineEnd(from: number): { at: number; next: number } | null {
    for (let i = from; i < this.buffer.length; i++) {
      const c = this.buffer[i];
      if (c === "\n") return { at: i, next: i + 1 };
      if (c === "\r") {
        // A CR at the very end may be half of CRLF: wait for what follows.
        if (i + 1 === this.buffer.length) return null;
        return { at: i, next: this.buffer[i + 1] === "\n" ? i + 2 : i + 1 };
      }
    }
    return null;
  }

  private line(line: string): void {
    if (line === "") return this.dispatch();
    const colon = line.indexOf(":");
    if (colon === 0) return; // comment: a heartbeat
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);
    if (value.startsWith(" ")) value = value.slice(1);
    switch (field) {
      case "event":
        this.event = value;
        break;
      case "data":
        this.data.push(value);
        break;
      case "id":
        if (!value.includes("\0")) this.id = value;
        break;
      case "retry":
        if (/^\d+$/.test(value)) this.retryMs = Math.min(Number(value), 60_000);
        break;
    }
  }

  private dispatch(): void {
    const m = { event: this.event || "message", data: this.data.join("\n"), id: this.id };
    const empty = this.data.length === 0;
    this.event = "";
    this.data = [];
    if (!empty) this.emit(m);
  }
}

/** backoff is the wait before attempt n (from 0), in ms: 1 s doubling to 15 s, with half of it at random. */
export function backoff(attempt: number, random: number): number {
  const top = Math.min(15_000, 1000 * 2 ** Math.min(attempt, 10));
  return Math.round(top / 2 + (top / 2) * random);
}

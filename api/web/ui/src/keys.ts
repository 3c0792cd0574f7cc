// The keyboard as a table: which key does what, apart from the page that does it.

export type Command =
  | "next" | "prev" | "first" | "last"
  | "confirm" | "dismiss" | "dismiss.false_alarm" | "dismiss.known" | "dismiss.no_action"
  | "undo" | "pause" | "mute" | "boxes" | "help" | "escape"
  | "go.wall" | "go.events" | "go.coverage" | "go.cameras" | "go.register" | "go.letters" | "go.help";

/** Keys of the whole page; the wall's own follow. */
const everywhere: Record<string, Command> = { "?": "help", m: "mute", Escape: "escape" };

const onWall: Record<string, Command> = {
  j: "next",
  ArrowDown: "next",
  ArrowRight: "next",
  k: "prev",
  ArrowUp: "prev",
  ArrowLeft: "prev",
  Home: "first",
  End: "last",
  Enter: "confirm",
  c: "confirm",
  d: "dismiss",
  "1": "dismiss.false_alarm",
  "2": "dismiss.known",
  "3": "dismiss.no_action",
  u: "undo",
  p: "pause",
  b: "boxes",
};

const afterG: Record<string, Command> = {
  w: "go.wall",
  e: "go.events",
  c: "go.coverage",
  d: "go.cameras",
  r: "go.register",
  l: "go.letters",
  h: "go.help",
};

/** How long the first key of "g w" waits for the second, in ms. */
export const chordMs = 1500;

export interface Stroke {
  key: string;
  /** modified: Ctrl, Alt or Meta is down, which is the browser's. */
  modified: boolean;
  /** typing: the focus is in a text field or a list. */
  typing: boolean;
  /** control: the focus is on a button or a link, which owns Enter and Space. */
  control: boolean;
  /** repeat: the key is held down. */
  repeat: boolean;
}

/** Held down, only moving repeats: a finger resting on "1" must not clear the wall. */
const mayRepeat = new Set<Command>(["next", "prev"]);

/** Keyboard turns strokes into commands and remembers a pending "g". */
export class Keyboard {
  private gAt = -Infinity;

  /** command is what the stroke asks for on the wall or elsewhere, or null. */
  command(s: Stroke, wall: boolean, nowMs: number): Command | null {
    if (s.modified) return null;
    if (s.typing) return s.key === "Escape" ? "escape" : null;
    const key = s.key.length === 1 ? s.key.toLowerCase() : s.key;
    const chord = nowMs - this.gAt < chordMs;
    this.gAt = -Infinity;
    if (chord) return s.repeat ? null : (afterG[key] ?? null);
    if (key === "g" && !s.repeat) {
      this.gAt = nowMs;
      return null;
    }
    if (s.control && (key === "Enter" || key.startsWith("Arrow"))) return null;
    const found = everywhere[key] ?? (wall ? onWall[key] : undefined) ?? null;
    return found && s.repeat && !mayRepeat.has(found) ? null : found;
  }
}

// The alert sound, made by WebAudio: two tones for levels 1 and 2, one for the
// rest. Browsers keep an audio context suspended until the user acts, and the
// page says so instead of being silently silent.
import { Observable } from "./observable";
import { remembered } from "./remember";

export const muted = remembered<"on" | "off">("sound", "on", (v) => v === "on" || v === "off");
export const blocked = new Observable(true);

/** Not more often than this, in ms: a flood is one sound, not a siren. */
const gapMs = 1500;

let context: AudioContext | null = null;
let lastMs = -Infinity;

/** unlock must be called from a key press or a click; harmless when called again. */
export function unlock(): void {
  try {
    context ??= new AudioContext();
    const c = context;
    const note = (): void => blocked.set(c.state !== "running");
    c.onstatechange = note;
    if (c.state === "suspended") void c.resume().then(note, note);
    note();
  } catch {
    blocked.set(true); // no audio device or no WebAudio: the page keeps saying so
  }
}

function tone(c: AudioContext, at: number, hz: number, seconds: number): void {
  const o = c.createOscillator();
  const g = c.createGain();
  o.type = "sine";
  o.frequency.value = hz;
  g.gain.setValueAtTime(0, at);
  g.gain.linearRampToValueAtTime(0.25, at + 0.015);
  g.gain.exponentialRampToValueAtTime(0.0008, at + seconds);
  o.connect(g).connect(c.destination);
  o.start(at);
  o.stop(at + seconds);
}

/** beep sounds for an alert of a level, unless muted, blocked or too soon after the last. */
export function beep(level: number, nowMs = performance.now()): boolean {
  const c = context;
  if (!c || c.state !== "running" || muted.get() === "off" || nowMs - lastMs < gapMs) return false;
  lastMs = nowMs;
  const t = c.currentTime + 0.02;
  tone(c, t, 880, 0.28);
  if (level <= 2) tone(c, t + 0.2, 1175, 0.36);
  return true;
}

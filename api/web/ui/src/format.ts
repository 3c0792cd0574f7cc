// Pure text forms of times, ages and figures, in the two languages.

export type Lang = "zh" | "en";

const pad = (n: number): string => String(n).padStart(2, "0");

/** age writes a duration in seconds with at most two units; below zero is zero. */
export function age(seconds: number, lang: Lang): string {
  const s = Number.isFinite(seconds) ? Math.max(0, Math.floor(seconds)) : 0;
  const u = lang === "zh" ? [" 天 ", " 小时 ", " 分 ", " 秒", " 小时", " 分"] : [" d ", " h ", " min ", " s", " h", " min"];
  const d = Math.floor(s / 86400);
  const h = Math.floor((s % 86400) / 3600);
  const m = Math.floor((s % 3600) / 60);
  if (d > 0) return `${d}${u[0]}${h}${u[4]}`;
  if (h > 0) return `${h}${u[1]}${pad(m)}${u[5]}`;
  if (m > 0) return `${m}${u[2]}${pad(s % 60)}${u[3]}`;
  return `${s}${u[3]}`;
}

/** secondsSince is how long ago an RFC 3339 time was, or null when it is none. */
export function secondsSince(time: string | undefined | null, nowMs: number): number | null {
  const t = parse(time);
  return t === null ? null : (nowMs - t) / 1000;
}

/** parse gives milliseconds, or null for nothing, garbage and Go's zero time. */
export function parse(time: string | undefined | null): number | null {
  if (!time || time.startsWith("0001-")) return null;
  const t = Date.parse(time);
  return Number.isNaN(t) ? null : t;
}

/** clock is the time of day, hh:mm:ss, in the reader's zone. */
export function clock(time: string | number | undefined | null): string {
  const t = typeof time === "number" ? time : parse(time);
  if (t === null) return "–";
  const d = new Date(t);
  return `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`;
}

/** stamp is date and time of day, yyyy-mm-dd hh:mm:ss, in the reader's zone. */
export function stamp(time: string | number | undefined | null): string {
  const t = typeof time === "number" ? time : parse(time);
  if (t === null) return "–";
  const d = new Date(t);
  return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())} ${clock(t)}`;
}

/** short is the time of day for today, with month and day for any other day. */
export function short(time: string | undefined | null, nowMs: number): string {
  const t = parse(time);
  if (t === null) return "–";
  const d = new Date(t);
  if (d.toDateString() === new Date(nowMs).toDateString()) return clock(t);
  return `${pad(d.getMonth() + 1)}-${pad(d.getDate())} ${clock(t)}`;
}

/** percent writes a ratio with one decimal; null and not-a-number are N/A. */
export function percent(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "N/A";
  return `${(value * 100).toFixed(1)}%`;
}

/** score writes a model's score as two decimals, or nothing when there is none. */
export function score(value: number | undefined): string {
  return value && value > 0 ? value.toFixed(2) : "";
}

/** roman is the level as the four-colour scale writes it: Ⅰ is the most severe. */
export function roman(level: number): string {
  return ["Ⅰ", "Ⅱ", "Ⅲ", "Ⅳ"][level - 1] ?? "–";
}

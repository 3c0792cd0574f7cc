// The way to the server: JSON in and out, one kind of error, and the server's
// clock, which ages are measured by.
import type { Lang } from "./format";
import { parse } from "./format";
import { t, lang } from "./i18n";
import { Observable } from "./observable";

export const base = "/api/v1";

/** ApiError is a refusal of the server, or status 0 when it could not be reached. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly zh: string,
    readonly en: string,
    readonly detail = "",
  ) {
    super(en || code);
  }

  /** text is the sentence to show in a language: the server's own, else ours. */
  text(l: Lang): string {
    const own = l === "zh" ? this.zh : this.en;
    if (own) return this.detail ? `${own} (${this.detail})` : own;
    if (this.status === 0) return t("error.network");
    if (this.status === 403) return t("error.forbidden");
    return t("error.http", { status: this.status });
  }
}

/** explain is what to show for anything that was thrown. */
export function explain(e: unknown): string {
  return e instanceof ApiError ? e.text(lang.get()) : String(e instanceof Error ? e.message : e);
}

/** skewMs is server time minus this computer's time, as far as the Date header tells (to a second). */
export const skewMs = new Observable(0);

/** serverNow is the server's time in milliseconds. */
export function serverNow(): number {
  return Date.now() + skewMs.get();
}

/** noteDate learns the server's clock from an answer. Below two seconds is the header's own roughness. */
export function noteDate(date: string | null, sentMs: number, gotMs: number): void {
  const server = parse(date);
  if (server === null) return;
  const skew = server + 500 - (sentMs + gotMs) / 2;
  skewMs.set(Math.abs(skew) < 2000 ? 0 : Math.round(skew / 1000) * 1000);
}

let csrf = "";
/** setCsrf hands in the token that every change must carry. */
export function setCsrf(token: string): void {
  csrf = token;
}

let onUnauthorized: () => void = () => {};
/** whenLoggedOut names what to do when the server no longer knows the session. */
export function whenLoggedOut(f: () => void): void {
  onUnauthorized = f;
}

/** refusal reads the server's error body. */
export async function refusal(r: Response): Promise<ApiError> {
  let body: Record<string, unknown> = {};
  try {
    body = (await r.json()) as Record<string, unknown>;
  } catch {
    // Not ours: a proxy's page. The status is all there is.
  }
  const word = (k: string): string => (typeof body[k] === "string" ? (body[k] as string) : "");
  return new ApiError(r.status, word("code") || "http", word("message"), word("message_en"), word("detail"));
}

export interface RequestOptions {
  method?: "GET" | "POST" | "DELETE";
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** anonymous: a 401 is an answer to this request, not the end of the session. */
  anonymous?: boolean;
}

/** request sends one request and returns the answer when it is good. Throws ApiError. */
export async function request(path: string, o: RequestOptions = {}): Promise<Response> {
  const headers: Record<string, string> = { Accept: "application/json", ...o.headers };
  const method = o.method ?? "GET";
  if (method !== "GET" && csrf) headers["X-CSRF-Token"] = csrf;
  if (o.body !== undefined) headers["Content-Type"] = "application/json";
  const sent = Date.now();
  let r: Response;
  try {
    r = await fetch(path, {
      method,
      headers,
      body: o.body === undefined ? null : JSON.stringify(o.body),
      credentials: "same-origin",
      cache: "no-store",
      ...(o.signal ? { signal: o.signal } : {}),
    });
  } catch (e) {
    if (o.signal?.aborted) throw e;
    throw new ApiError(0, "network", "", "");
  }
  noteDate(r.headers.get("Date"), sent, Date.now());
  if (r.ok) return r;
  const error = await refusal(r);
  if (r.status === 401 && !o.anonymous) onUnauthorized();
  throw error;
}

/** get reads JSON. */
export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  const r = await request(base + path, signal ? { signal } : {});
  return (await r.json()) as T;
}

/** post sends JSON and reads the answer, or undefined when it is empty. */
export async function post<T>(path: string, body: unknown, o: RequestOptions = {}): Promise<T> {
  const r = await request(base + path, { ...o, method: "POST", body });
  const text = await r.text();
  return (text ? JSON.parse(text) : undefined) as T;
}

// Who is logged in, and what follows from it.
import { ApiError, get, post, request, base, setCsrf, whenLoggedOut } from "./http";
import type { Session } from "./model";
import { Observable } from "./observable";

export interface SessionState {
  phase: "asking" | "out" | "in" | "unreachable";
  session: Session | null;
  /** expired: the session ended by itself, so the login view says so. */
  expired: boolean;
}

export const session = new Observable<SessionState>({ phase: "asking", session: null, expired: false });

function enter(s: Session): void {
  setCsrf(s.csrf);
  session.set({ phase: "in", session: s, expired: false });
}

function leave(expired: boolean): void {
  setCsrf("");
  session.set({ phase: "out", session: null, expired });
}

whenLoggedOut(() => leave(session.get().phase === "in"));

/** ask finds out whether this browser is logged in. */
export async function ask(): Promise<void> {
  try {
    const r = await request(`${base}/session`, { anonymous: true });
    enter((await r.json()) as Session);
  } catch (e) {
    if (e instanceof ApiError && e.status === 401) leave(false);
    else session.set({ phase: "unreachable", session: null, expired: false });
  }
}

/** login throws ApiError when the server refuses. */
export async function login(username: string, password: string): Promise<void> {
  enter(await post<Session>("/session", { username, password }, { anonymous: true }));
}

export async function logout(): Promise<void> {
  try {
    await request(`${base}/session`, { method: "DELETE", anonymous: true });
  } finally {
    leave(false);
  }
}

/** changePassword throws ApiError when the server refuses. */
export async function changePassword(old: string, next: string): Promise<void> {
  await post("/password", { old, new: next });
  // The server may have given a new token with the new password.
  const fresh = await get<Session>("/session");
  enter({ ...fresh, must_change_password: false });
}

/** mayTriage tells whether the user may decide about alerts. The server decides again. */
export function mayTriage(): boolean {
  const role = session.get().session?.user.role;
  return role === "admin" || role === "duty";
}

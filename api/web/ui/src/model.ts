// The JSON of /api/v1 as the page reads it. Optional where an older or newer
// server may leave a field out: the page must not break on its absence.

export type Role = "admin" | "duty" | "viewer";
export type Status = "new" | "confirmed" | "dismissed";
export type Phase = "opened" | "updated" | "closed";
export type Dismissal = "false_alarm" | "known" | "no_action";
export type Tri = "yes" | "no" | "unknown";

export interface User {
  name: string; // login name
  display?: string; // name to show
  post?: string;
  unit?: string;
  role: Role;
}

export interface Session {
  user: User;
  csrf: string;
  must_change_password?: boolean;
}

export interface Box {
  x: number;
  y: number;
  w: number;
  h: number;
}

export interface Detection {
  class: string;
  score: number;
  box: Box;
}

export interface Picture {
  sha256: string;
  at: string;
  width: number;
  height: number;
  bytes?: number;
  blurred: boolean;
}

export interface Alert {
  id: string;
  camera: string;
  rule: string;
  rule_name?: string;
  kind: string;
  zone?: string;
  zone_name?: string;
  category?: string;
  level: number;
  phase: Phase;
  start: string;
  last: string;
  end?: string | null;
  received?: string;
  classes?: Record<string, number> | null;
  score?: number;
  boxes?: Detection[] | null;
  reason?: string;
  picture?: Picture | null;
}

export interface Camera {
  id: string;
  name: string;
  division: string;
  division_name?: string;
  grid?: string;
  point?: string;
  place?: string;
  legal_basis?: string;
  purpose?: string;
  uplink?: string;
  in_use?: boolean;
}

export interface Triage {
  by: string; // login name
  name?: string; // name to show
  unit?: string;
  at: string;
  reason?: string;
  note?: string;
}

export interface Row {
  alert: Alert;
  status: Status;
  camera: Camera; // see normal(): the server sends null until the camera has reported itself
  node?: string;
  received_at: string;
  late_by_s?: number;
  triage?: Triage | null;
  event_no?: string;
  picture_url?: string;
  /** picture says whether there is one: none, kept, coming, lost, expired. */
  picture?: "none" | "kept" | "coming" | "lost" | "expired";
}

/** normal fills what a row may lack, so that no reader has to ask again. */
export function normal(row: Row): Row {
  const { alert } = row;
  return { ...row, camera: row.camera ?? { id: alert.camera, name: alert.camera, division: "" } };
}

/** GridEvent has the names of the interchange with county platforms. */
export interface GridEvent {
  eventNo: string;
  categoryCode: string;
  categoryName: string;
  level: number;
  urgency?: string;
  source?: string;
  title: string;
  description?: string;
  happenTime: string;
  divisionCode: string;
  address?: string;
  cameraId: string;
  alertIds: string[] | null;
  snapshot?: { id: string; blurred: boolean } | null;
  reporterPost?: string;
  state: string;
  dueAt?: string | null;
  createdAt: string;
  updatedAt?: string;
  history: Step[] | null;
}

export interface Step {
  at: string;
  from?: string;
  to: string;
  by: string;
  unit?: string;
  post?: string;
  note?: string;
}

export interface Page<T> {
  items: T[];
  next?: string;
}

export interface Category {
  code: string;
  name: string;
  name_en?: string;
  group?: string;
  group_name?: string;
}

export interface Figure {
  id: string;
  name: string;
  name_en?: string;
  formula: string;
  numerator: number;
  denominator: number;
  value: number | null;
  target?: number | null;
  unknown?: number;
  as_of?: string;
}

export interface Village {
  code: string;
  name: string;
  kind: string;
  town: string;
  county?: string;
  points: number;
  cameras: number;
  online: number;
  offline: number;
  unknown: number;
  shortfall: number;
  ok: boolean | null;
}

export interface Coverage {
  as_of: string;
  standard: { min_points: number };
  figures: Figure[] | null;
  villages: Village[] | null;
  villages_total?: number;
  villages_limited?: boolean;
  unplaced?: number;
  divisions?: string;
  scope?: { division: string; name: string; counties: string[] | null; villages: number; communities: number; others: number };
}

export interface Fact {
  value: Tri;
  since: string;
  reason?: string;
  hint?: string;
}

export interface CameraState {
  registered: Fact;
  transport: Fact;
  frames: Fact;
  picture: Fact;
  recording: Fact;
  /** analysis is how closely the camera was watched in the last minute. */
  analysis?: { level: "full" | "gated" | "degraded"; analysed_s: number; of_s: number };
}

export interface CameraRow {
  camera: Camera;
  state: CameraState;
  online: Tri;
  node?: string;
  seen_at?: string;
  removed?: boolean;
}

/** WaitingDevice wants to register and nobody has let it in. */
export interface WaitingDevice {
  id: string;
  address: string;
  user_agent?: string;
  version?: string;
  first_seen: string;
  last_seen: string;
  attempts: number;
}

/** ChannelChange is a difference between a device's catalogue and the cameras. */
export interface ChannelChange {
  device: string;
  channel: string;
  camera?: string;
  kind: string;
  configured?: string;
  reported?: string;
}

export interface DeviceReport {
  registered: number;
  configured: number;
  waiting?: WaitingDevice[] | null;
  waiting_total: number;
  changes?: ChannelChange[] | null;
  changes_total: number;
}

export interface NodeRow {
  name: string;
  version?: string;
  cameras: number;
  seen_at?: string;
  gb28181?: DeviceReport | null;
}

/** Letter is a message that no center could take. */
export interface Letter {
  id: string;
  at: string;
  reason: string;
  error: string;
  deliveries: number;
  node: string;
  version: string;
  kind: string;
  camera: string;
  alert: string;
  bytes: number;
}

export interface LetterPage extends Page<Letter> {
  all: number;
}

/** AccessRow is one entry of the access register. */
export interface AccessRow {
  seq: number;
  at: string;
  login: string;
  name?: string;
  unit?: string;
  post?: string;
  client_ip?: string;
  action: string;
  reason?: string;
  reason_text?: string;
  case_no?: string;
  cameras?: string[] | null;
  alert?: string;
  from?: string;
  to?: string;
  blurred?: boolean;
}

export interface RegisterPage extends Page<AccessRow> {
  /** chain is there when the server has verified the hash chain. */
  chain?: { ok: boolean };
}

export const factNames = ["registered", "transport", "frames", "picture", "recording"] as const;
export type FactName = (typeof factNames)[number];

// Live messages that are not alerts, for the views that show them.
import { Observable } from "./observable";

/** cameraTick and eventTick grow when the server says that a camera or an event changed. */
export const cameraTick = new Observable(0);
export const eventTick = new Observable(0);

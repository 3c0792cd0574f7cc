// What a person has to decide about GB/T 28181 devices: who waits to be let in,
// and which channels differ from the configured cameras.
import { useEffect } from "preact/hooks";
import { stamp } from "../format";
import { get } from "../http";
import { known, t } from "../i18n";
import { Icon } from "../icons";
import type { ChannelChange, DeviceReport, NodeRow, Page, WaitingDevice } from "../model";
import { useValue } from "../observable";
import { useResource } from "../resource";
import { session } from "../session";
import { Age } from "../widgets";

/** Nodes repeat their report about every 30 s. */
const every = 30_000;

/** DevicesPanel is there for whoever may decide, and only while there is something. */
export function DevicesPanel() {
  const { session: s } = useValue(session);
  return s && s.user.role !== "viewer" ? <Panel /> : null;
}

function Panel() {
  const list = useResource("nodes", (signal) => get<Page<NodeRow>>("/nodes", signal));
  useEffect(() => {
    const timer = setInterval(list.reload, every);
    return () => clearInterval(timer);
  }, [list.reload]);
  const nodes = (list.data?.items ?? []).filter((n) => n.gb28181 && (n.gb28181.waiting_total > 0 || n.gb28181.changes_total > 0));
  if (nodes.length === 0) return null;
  return (
    <div class="panel devices" data-testid="devices">
      {nodes.map((n) => n.gb28181 && <NodeDevices key={n.name} node={n.name} report={n.gb28181} />)}
    </div>
  );
}

function NodeDevices({ node, report }: { node: string; report: DeviceReport }) {
  return (
    <>
      {report.waiting_total > 0 && (
        <details open>
          <summary><Icon name="warning" /> {t("dev.waiting", { n: report.waiting_total, node })}</summary>
          <p class="muted">{t("dev.waiting.hint")}</p>
          {(report.waiting ?? []).map((w) => <Waiting key={w.id} device={w} />)}
        </details>
      )}
      {report.changes_total > 0 && (
        <details>
          <summary>{t("dev.changes", { n: report.changes_total, node })}</summary>
          <p class="muted">{t("dev.changes.hint")}</p>
          <ul>{(report.changes ?? []).map((c) => <Change key={c.channel + c.kind} change={c} />)}</ul>
        </details>
      )}
    </>
  );
}

function Waiting({ device }: { device: WaitingDevice }) {
  return (
    <div class="device" data-testid="waiting-device" data-device={device.id}>
      <div><strong class="num">{device.id}</strong> <span class="num">{device.address}</span> <span class="muted">{[device.user_agent, device.version && `GB/T 28181 ${device.version}`].filter(Boolean).join(" · ")}</span></div>
      <div class="muted">{t("dev.tried", { n: device.attempts })} · <span title={stamp(device.last_seen)}><Age since={device.last_seen} ago /></span></div>
      <pre>{configLines(device.id)}</pre>
    </div>
  );
}

function Change({ change }: { change: ChannelChange }) {
  const both = [change.configured, change.reported].filter(Boolean).join(" → ");
  return <li data-testid="channel-change"><span class="num">{change.device} / {change.channel}</span> <strong>{known("dev", change.kind)}</strong> {both} {change.camera && <span class="muted num">{change.camera}</span>}</li>;
}

/** configLines are what lets a device in, under edge.gb28181.devices. */
export function configLines(id: string): string {
  return `- id: "${id}"\n  password: {env: GB_${id.slice(-6)}}`;
}

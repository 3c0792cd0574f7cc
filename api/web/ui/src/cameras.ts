// The list of cameras, kept as it is at the server.
import { useEffect } from "preact/hooks";
import { cameraTick } from "./bus";
import { get } from "./http";
import type { CameraRow, Page } from "./model";
import { useResource, type Resource } from "./resource";

/** Burst is one run for many calls of touch: ms after the first, however many follow. */
export class Burst {
  private timer: ReturnType<typeof setTimeout> | null = null;

  constructor(
    private readonly ms: number,
    private readonly run: () => void,
  ) {}

  touch(): void {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      this.run();
    }, this.ms);
  }

  stop(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }
}

/** When each camera was last reported is no change, and nodes report about every 30 s. */
const againMs = 30_000;

/**
 * useCameras reads the cameras, and again after each burst of changes. Where some
 * camera changes all the time that is every ms: waiting for a pause would be waiting
 * for ever.
 */
export function useCameras(ms: number): Resource<Page<CameraRow>> {
  const list = useResource("cameras", (signal) => get<Page<CameraRow>>("/cameras", signal));
  useEffect(() => {
    const burst = new Burst(ms, list.reload);
    const stopListening = cameraTick.listen(() => burst.touch());
    const timer = setInterval(list.reload, againMs);
    return () => {
      stopListening();
      burst.stop();
      clearInterval(timer);
    };
  }, [ms, list.reload]);
  return list;
}

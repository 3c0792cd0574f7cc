// Pictures of alerts. Each fetch is a line in the access register, so a picture
// is fetched when it comes into view, once per alert and content, and a refusal
// is shown with the server's own words. Bytes live in a bounded cache; a canvas
// draws them, with the boxes as an overlay that scales alike.
import { useEffect, useRef, useState } from "preact/hooks";
import { explain, request } from "./http";
import { known, lang, t } from "./i18n";
import { Icon } from "./icons";
import type { Row } from "./model";
import { useValue } from "./observable";
import { score } from "./format";

/** The most pictures kept, about 150 kB each. */
const cacheSize = 150;
/** The most fetches at once: the live connection and the buttons keep their share. */
const parallel = 3;

const cache = new Map<string, Promise<Blob>>();
const queue: (() => void)[] = [];
let running = 0;

/** forgetPictures empties the cache, at logout. */
export function forgetPictures(): void {
  cache.clear();
}

function turn<T>(work: () => Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const run = (): void => {
      running++;
      work()
        .then(resolve, reject)
        .finally(() => {
          running--;
          queue.pop()?.(); // the latest asked for is what is on screen
        });
    };
    if (running < parallel) run();
    else queue.push(run);
  });
}

function load(key: string, url: string): Promise<Blob> {
  let p = cache.get(key);
  if (p) {
    cache.delete(key); // moves to the end: the least recently used goes first
  } else {
    p = turn(async () => (await request(url, { headers: { Accept: "image/jpeg" } })).blob());
    p.catch(() => cache.delete(key)); // a failure is not kept: the next look tries again
  }
  cache.set(key, p);
  for (const oldest of cache.keys()) {
    if (cache.size <= cacheSize) break;
    cache.delete(oldest);
  }
  return p;
}

async function draw(canvas: HTMLCanvasElement, blob: Blob, width: number): Promise<void> {
  const full = await createImageBitmap(blob);
  const scale = width > 0 ? Math.min(1, width / full.width) : 1;
  canvas.width = Math.round(full.width * scale);
  canvas.height = Math.round(full.height * scale);
  const c = canvas.getContext("2d");
  if (c) {
    c.imageSmoothingQuality = "high";
    c.drawImage(full, 0, 0, canvas.width, canvas.height);
  }
  full.close();
}

export interface PictureProps {
  row: Row;
  label: string;
  boxes: boolean;
  /** width to draw at, 0 for the picture's own. */
  width?: number;
  /** words: label each box with its class, and say why a picture is missing. */
  words?: boolean;
}

type Phase = "waiting" | "shown" | "failed";

/** Picture shows the picture of an alert, or says why there is none. */
export function Picture({ row, label, boxes, width = 0, words = false }: PictureProps) {
  useValue(lang);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [phase, setPhase] = useState<Phase>("waiting");
  const [why, setWhy] = useState("");
  const [attempt, setAttempt] = useState(0);
  const { alert, picture_url: url } = row;
  const key = `${alert.id} ${alert.picture?.sha256 ?? ""}`;

  useEffect(() => {
    const node = canvas.current;
    if (!url || !node) return;
    let gone = false;
    const show = async (): Promise<void> => {
      try {
        const blob = await load(key, url);
        if (!gone) await draw(node, blob, width);
        if (!gone) setPhase("shown");
      } catch (e) {
        if (gone) return;
        setWhy(explain(e));
        setPhase("failed");
      }
    };
    const seen = new IntersectionObserver((entries) => {
      if (!entries.some((e) => e.isIntersecting)) return;
      seen.disconnect();
      void show();
    }, { rootMargin: "100px" });
    seen.observe(node);
    return () => {
      gone = true;
      seen.disconnect();
    };
  }, [key, url, attempt]);

  if (!url) return <Absent words={words} row={row} />;
  return (
    <div class="picture" data-phase={phase} data-testid="picture">
      <canvas ref={canvas} role="img" aria-label={label} width={16} height={9} />
      {boxes && phase === "shown" && <Boxes row={row} words={words} />}
      {phase === "failed" && words && (
        <div class="picture-note" role="alert">
          <strong>{t("wall.picture.failed")}</strong>
          <span>{why}</span>
          <button type="button" class="button" onClick={() => { setPhase("waiting"); setAttempt(attempt + 1); }}>{t("common.retry")}</button>
        </div>
      )}
      {phase === "failed" && !words && <div class="picture-note"><Icon name="warning" /></div>}
    </div>
  );
}

/** Absent says why there is no picture to show. */
function Absent({ words, row }: { words: boolean; row: Row }) {
  const state = row.picture === "coming" || row.picture === "lost" || row.picture === "expired" ? row.picture : "none";
  return (
    <div class="picture picture-absent" data-picture={state}>
      <div class="picture-note">
        <Icon name={row.alert.kind === "camera_fault" ? "camera-off" : "picture-off"} />
        {(words || state === "coming") && <strong>{t(`wall.picture.${state}`)}</strong>}
        {words && <span>{t(`wall.picture.${state}.hint`)}</span>}
      </div>
    </div>
  );
}

function Boxes({ row, words }: { row: Row; words: boolean }) {
  const { boxes, picture } = row.alert;
  if (!boxes?.length) return null;
  const w = picture?.width || 1280;
  const h = picture?.height || 720;
  const text = Math.max(12, h / 32);
  return (
    <svg class="boxes" viewBox={`0 0 ${w} ${h}`} preserveAspectRatio="xMidYMid meet" aria-hidden="true">
      {boxes.map((d, i) => {
        const x = d.box.x * w;
        const y = d.box.y * h;
        return (
          <g key={i}>
            <rect x={x} y={y} width={d.box.w * w} height={d.box.h * h} vector-effect="non-scaling-stroke" />
            {words && <text x={x} y={y > text * 1.3 ? y - text * 0.3 : y + d.box.h * h + text} font-size={text}>{`${known("class", d.class)} ${score(d.score)}`}</text>}
          </g>
        );
      })}
    </svg>
  );
}

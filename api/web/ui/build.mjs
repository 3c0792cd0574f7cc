// Builds ../dist from src: one script, one style sheet, one icon, index.html.
// The same sources give the same bytes: names carry content hashes, nothing
// carries a time or a path. built.sum lists what was built from what, so that
// a Go test can tell a stale dist without Node.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const dist = path.join(here, "..", "dist");
const assets = path.join(dist, "assets");

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

async function emit(name, ext, bytes) {
  const file = `${name}-${sha256(bytes).slice(0, 10)}.${ext}`;
  await writeFile(path.join(assets, file), bytes);
  return `assets/${file}`;
}

async function filesUnder(dir) {
  const entries = await readdir(dir, { withFileTypes: true, recursive: true });
  return entries.filter((e) => e.isFile()).map((e) => path.join(e.parentPath ?? e.path, e.name));
}

async function bundle(entry) {
  const result = await build({
    absWorkingDir: here,
    entryPoints: [entry],
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    target: ["es2022", "chrome109", "firefox115", "safari16"],
    jsx: "automatic",
    jsxImportSource: "preact",
    charset: "utf8",
    legalComments: "none",
    define: { "process.env.NODE_ENV": '"production"' },
    outdir: "out",
  });
  return result.outputFiles[0].contents;
}

async function sums(names) {
  const lines = [];
  for (const name of names) {
    const rel = path.relative(path.join(here, ".."), name).split(path.sep).join("/");
    lines.push(`${sha256(await readFile(name))}  ${rel}\n`);
  }
  return lines.sort((a, b) => (a.slice(66) < b.slice(66) ? -1 : 1)).join("");
}

await rm(dist, { recursive: true, force: true });
await mkdir(assets, { recursive: true });
const script = await emit("app", "js", await bundle("src/main.tsx"));
const style = await emit("app", "css", await bundle("src/style/index.css"));
const icon = await emit("icon", "svg", await readFile(path.join(here, "src", "icon.svg")));
const html = (await readFile(path.join(here, "index.html"), "utf8"))
  .replaceAll("%SCRIPT%", script)
  .replaceAll("%STYLE%", style)
  .replaceAll("%ICON%", icon);
await writeFile(path.join(dist, "index.html"), html);
// Preact is bundled into the script; its licence asks for its notice.
const licence = await readFile(path.join(here, "node_modules", "preact", "LICENSE"), "utf8");
await writeFile(path.join(dist, "THIRD-PARTY.txt"), `preact\n\n${licence}`);

const sources = await filesUnder(path.join(here, "src"));
for (const name of ["build.mjs", "index.html", "package-lock.json", "tsconfig.json"]) sources.push(path.join(here, name));
await writeFile(path.join(here, "built.sum"), await sums([...sources, ...(await filesUnder(dist))]));
const sizes = await Promise.all((await filesUnder(dist)).map(async (f) => (await readFile(f)).length));
console.log(`dist: ${sizes.length} files, ${sizes.reduce((a, b) => a + b, 0)} bytes`);

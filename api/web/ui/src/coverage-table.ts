// Sorting, filtering and export of the village table: pure.
import { codeCell, csvCell, csvFile } from "./csv";
import { known, t } from "./i18n";
import type { Village } from "./model";

export type Column = "name" | "kind" | "town" | "points" | "shortfall" | "cameras" | "online";
export interface Sort {
  column: Column;
  down: boolean;
}

export interface Filter {
  text: string;
  kind: string;
  onlyShort: boolean;
}

/** select gives the villages that match, in the order asked for; ties by code. */
export function selectVillages(all: Village[], f: Filter, s: Sort, locale: string): Village[] {
  const words = f.text.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const compare = new Intl.Collator(locale, { numeric: true }).compare;
  const sign = s.down ? -1 : 1;
  return all
    .filter((v) => !f.kind || v.kind === f.kind)
    .filter((v) => !f.onlyShort || v.ok === false)
    .filter((v) => words.every((w) => `${v.name} ${v.town} ${v.county ?? ""} ${v.code}`.toLowerCase().includes(w)))
    .sort((a, b) => {
      const x = a[s.column];
      const y = b[s.column];
      const d = typeof x === "number" && typeof y === "number" ? x - y : compare(String(x), String(y));
      return d !== 0 ? sign * d : a.code < b.code ? -1 : 1;
    });
}

/** verdict is what is said about a village: the standard holds for administrative villages only. */
export function verdict(v: Village): "ok" | "notok" | "notapplicable" {
  return v.ok === null || v.ok === undefined ? "notapplicable" : v.ok ? "ok" : "notok";
}

/** villagesCSV is the file for spreadsheets; the first lines say what it is and as of when. */
export function villagesCSV(rows: Village[], asOf: string, minPoints: number): string {
  const head = [t("cov.code"), t("cov.village"), t("cov.kind"), t("cov.town"), t("cov.points").split("/")[0]?.trim() ?? "", t("cov.target"), t("cov.shortfall"), t("cov.ok"), t("cov.cameras"), t("cov.online"), t("cov.offline"), t("cov.unknown")];
  return csvFile([
    [csvCell(t("common.asof", { time: asOf }))],
    [csvCell(t("cov.standard", { n: minPoints }))],
    head.map(csvCell),
    ...rows.map((v) => {
      const judged = verdict(v) !== "notapplicable";
      return [
        codeCell(v.code), csvCell(v.name), csvCell(known("kind", v.kind)), csvCell(v.town), csvCell(v.points),
        csvCell(judged ? minPoints : null), csvCell(judged ? v.shortfall : null), csvCell(t(`cov.${verdict(v)}`)),
        csvCell(v.cameras), csvCell(v.online), csvCell(v.offline), csvCell(v.unknown),
      ];
    }),
  ]);
}

// CSV for spreadsheets: RFC 4180 quoting, a byte-order mark so that Excel reads
// UTF-8, and a guard so that no cell can be run as a formula.

export type Cell = string | number | boolean | null | undefined;

/** csvCell quotes one cell. Text that a spreadsheet would run gets a leading apostrophe. */
export function csvCell(value: Cell): string {
  if (value === null || value === undefined) return "";
  if (typeof value !== "string") return String(value);
  const risky = /^[\s\u0000]*[=+\-@]/.test(value) || /^[\t\r\n]/.test(value);
  const text = risky ? `'${value}` : value;
  return /[",\r\n;\t']/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** codeCell keeps a long number, such as a division code, as text in a spreadsheet. */
export function codeCell(code: string): string {
  return /^\d+$/.test(code) ? `"=""${code}"""` : csvCell(code);
}

/** csvFile joins ready cells into a file with a byte-order mark and CRLF line ends. */
export function csvFile(rows: string[][]): string {
  return "\uFEFF" + rows.map((r) => r.join(",") + "\r\n").join("");
}

/** download hands text to the browser as a file. */
export function download(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  const a = document.createElement("a");
  a.href = url;
  a.download = name;
  document.body.append(a);
  a.click();
  a.remove();
  // The browser reads the blob after this call returns.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

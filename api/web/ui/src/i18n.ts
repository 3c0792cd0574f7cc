// Two languages, Chinese first. The choice is kept in this browser.
import { en } from "./lang/en";
import { zh, type Key } from "./lang/zh";
import type { Lang } from "./format";
import { Observable } from "./observable";
import { remembered } from "./remember";

export type { Key } from "./lang/zh";
export const words: Record<Lang, Record<Key, string>> = { zh, en };
export const lang: Observable<Lang> = remembered<Lang>("lang", "zh", (v) => v === "zh" || v === "en");

export type Args = Record<string, string | number>;

/** fill puts args into the {names} of a sentence. */
export function fill(sentence: string, args?: Args): string {
  if (!args) return sentence;
  return sentence.replace(/\{(\w+)\}/g, (whole, name: string) => (name in args ? String(args[name]) : whole));
}

/** t is the sentence for a key in the language of now. */
export function t(key: Key, args?: Args): string {
  return fill(words[lang.get()][key], args);
}

/** known is the word for a code of the server, or the code itself when this page does not know it. */
export function known(prefix: string, code: string | undefined): string {
  if (!code) return "";
  const key = `${prefix}.${code}`;
  return key in zh ? t(key as Key) : code;
}

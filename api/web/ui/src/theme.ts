// Dark by default: video rooms are dark. "auto" follows the system's setting.
import { remembered } from "./remember";

export type Theme = "dark" | "light" | "auto";
const order: Theme[] = ["dark", "light", "auto"];

export const theme = remembered<Theme>("theme", "dark", (v) => order.includes(v as Theme));

export function nextTheme(): void {
  theme.update((now) => order[(order.indexOf(now) + 1) % order.length] ?? "dark");
}

/** followTheme keeps the page's data-theme right. Call once. */
export function followTheme(): void {
  const system = matchMedia("(prefers-color-scheme: light)");
  const apply = (): void => {
    const now = theme.get();
    document.documentElement.dataset.theme = now === "auto" ? (system.matches ? "light" : "dark") : now;
  };
  system.addEventListener("change", apply);
  theme.listen(apply);
  apply();
}

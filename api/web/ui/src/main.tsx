import { render } from "preact";
import { App } from "./app";
import { lang } from "./i18n";
import { followRoute } from "./route";
import { ask } from "./session";
import { followTheme } from "./theme";

const setLang = (): void => {
  document.documentElement.lang = lang.get() === "zh" ? "zh-CN" : "en";
};
lang.listen(setLang);
setLang();
followTheme();
followRoute();
void ask();
const root = document.getElementById("app");
if (root) render(<App />, root);

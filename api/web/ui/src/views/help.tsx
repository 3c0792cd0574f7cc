import { lang, t, type Key } from "../i18n";
import { useValue } from "../observable";
import { Dialog } from "../widgets";

const keys: [string[], Key][] = [
  [["J", "↓", "K", "↑"], "key.move"],
  [["Enter", "C"], "key.confirm"],
  [["1", "2", "3"], "key.direct"],
  [["D"], "key.dismiss"],
  [["U"], "key.undo"],
  [["P"], "key.pause"],
  [["B"], "key.boxes"],
  [["M"], "key.mute"],
  [["G W", "G E", "G C", "G D", "G R"], "key.goto"],
  [["?"], "key.help"],
  [["Esc"], "key.escape"],
];

function Keys() {
  return (
    <dl class="keys">
      {keys.map(([strokes, word]) => (
        <div key={word}><dt>{strokes.map((s) => <kbd key={s}>{s}</kbd>)}</dt><dd>{t(word)}</dd></div>
      ))}
    </dl>
  );
}

/** HelpDialog is the keyboard on one page; "?" opens and closes it. */
export function HelpDialog({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title={t("help.keys")} onClose={onClose} testid="help-dialog" wide>
      <div onKeyDown={(e) => { if (e.key === "?") { e.preventDefault(); onClose(); } }}>
        <Keys />
        <p class="form-hint">{t("help.press")}</p>
        <div class="dialog-actions">
          <a class="button" href="#/help" onClick={onClose}>{t("nav.help")}</a>
          <button type="button" class="button button-primary" data-autofocus onClick={onClose}>{t("common.close")}</button>
        </div>
      </div>
    </Dialog>
  );
}

const parts: [Key, Key[]][] = [
  ["help.duty", ["help.duty.1", "help.duty.2", "help.duty.3", "help.duty.4"]],
  ["help.read", ["help.read.1", "help.read.2", "help.read.3", "help.read.4", "help.read.5"]],
  ["help.limits", ["help.limits.1", "help.limits.2", "promise"]],
];

/** HelpView is the user guide. */
export function HelpView() {
  useValue(lang);
  return (
    <article class="view help">
      <h1>{t("help.title")}</h1>
      <div class="help-grid">
        {parts.map(([head, lines]) => (
          <section key={head} class="panel"><h2>{t(head)}</h2><ul>{lines.map((k) => <li key={k}>{t(k)}</li>)}</ul></section>
        ))}
        <section class="panel"><h2>{t("help.keys")}</h2><Keys /></section>
      </div>
    </article>
  );
}

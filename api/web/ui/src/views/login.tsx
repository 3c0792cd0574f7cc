import { useState } from "preact/hooks";
import { explain } from "../http";
import { t } from "../i18n";
import { Icon } from "../icons";
import { useValue } from "../observable";
import { changePassword, login, session } from "../session";
import { LangButton, ThemeButton } from "../shell";
import { unlock } from "../sound";
import { toast } from "../toast";
import { Dialog } from "../widgets";

export function LoginView() {
  const { expired } = useValue(session);
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async (e: SubmitEvent): Promise<void> => {
    e.preventDefault();
    unlock(); // this is the user's act that the sound waits for
    const form = new FormData(e.currentTarget as HTMLFormElement);
    setBusy(true);
    setError("");
    try {
      await login(String(form.get("username")).trim(), String(form.get("password")));
    } catch (problem) {
      setError(explain(problem));
      setBusy(false);
    }
  };
  return (
    <div class="login">
      <div class="login-tools"><ThemeButton /><LangButton /></div>
      <main class="login-card">
        <div class="login-brand"><Icon name="eye" /><div><h1>{t("app.name")}</h1><p>{t("app.sub")}</p></div></div>
        <form onSubmit={submit} aria-label={t("login.title")}>
          {expired && <p class="form-note" role="status">{t("login.expired")}</p>}
          <label class="field"><span>{t("login.user")}</span><input name="username" autocomplete="username" autocapitalize="none" spellcheck={false} required autofocus data-testid="login-user" /></label>
          <label class="field"><span>{t("login.password")}</span><input name="password" type="password" autocomplete="current-password" required data-testid="login-password" /></label>
          {error && <p class="form-error" role="alert" data-testid="login-error">{error}</p>}
          <button type="submit" class="button button-primary" disabled={busy} data-testid="login-submit">{busy ? t("login.busy") : t("login.submit")}</button>
          <p class="form-hint">{t("login.first")}</p>
        </form>
      </main>
      <p class="login-promise">{t("promise")}</p>
    </div>
  );
}

const minPassword = 10;

/** PasswordDialog changes the password; it may be put off, and a banner remains. */
export function PasswordDialog({ onClose }: { onClose: () => void }) {
  const { session: s } = useValue(session);
  const must = s?.must_change_password ?? false;
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async (e: SubmitEvent): Promise<void> => {
    e.preventDefault();
    const form = new FormData(e.currentTarget as HTMLFormElement);
    const [old, next, again] = ["old", "next", "again"].map((k) => String(form.get(k)));
    if (next !== again) return setError(t("password.differ"));
    if ((next ?? "").length < minPassword) return setError(t("password.short", { n: minPassword }));
    setBusy(true);
    try {
      await changePassword(old ?? "", next ?? "");
      toast(t("password.done"));
      onClose();
    } catch (problem) {
      setError(explain(problem));
      setBusy(false);
    }
  };
  return (
    <Dialog title={t("password.title")} onClose={onClose} testid="password-dialog">
      <form onSubmit={submit}>
        {must && <p class="form-note">{t("password.must")}</p>}
        <input type="text" name="username" autocomplete="username" value={s?.user.name} hidden readOnly />
        <label class="field"><span>{t("password.old")}</span><input name="old" type="password" autocomplete="current-password" required data-autofocus data-testid="password-old" /></label>
        <label class="field"><span>{t("password.new")}</span><input name="next" type="password" autocomplete="new-password" required data-testid="password-new" /></label>
        <label class="field"><span>{t("password.again")}</span><input name="again" type="password" autocomplete="new-password" required data-testid="password-again" /></label>
        {error && <p class="form-error" role="alert">{error}</p>}
        <div class="dialog-actions">
          <button type="button" class="button" onClick={onClose} data-testid="password-later">{must ? t("password.later") : t("common.cancel")}</button>
          <button type="submit" class="button button-primary" disabled={busy} data-testid="password-submit">{t("password.submit")}</button>
        </div>
      </form>
    </Dialog>
  );
}

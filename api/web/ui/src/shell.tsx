// Header, banners and footer.
import { useEffect, useRef } from "preact/hooks";
import { second } from "./clock";
import { age, stamp } from "./format";
import { serverNow, skewMs } from "./http";
import { lang, t } from "./i18n";
import { Icon } from "./icons";
import { letterCount, watchLetters } from "./letters";
import { live } from "./live";
import { useValue } from "./observable";
import { route, views } from "./route";
import { logout, session } from "./session";
import { blocked, muted, unlock } from "./sound";
import { nextTheme, theme } from "./theme";
import { feed } from "./wall/feed";
import { waiting } from "./wall/rows";

export function Header(p: { onPassword: () => void; onHelp: () => void }) {
  const view = useValue(route);
  const { session: s } = useValue(session);
  const { items, held, next } = useValue(feed);
  const n = waiting(items) + held.size;
  const dead = useValue(letterCount);
  useEffect(watchLetters, [s?.user.role]);
  const menu = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    const close = (e: Event): void => {
      if (menu.current && !menu.current.contains(e.target as Node)) menu.current.open = false;
    };
    addEventListener("pointerdown", close);
    addEventListener("focusin", close);
    return () => {
      removeEventListener("pointerdown", close);
      removeEventListener("focusin", close);
    };
  }, []);
  return (
    <header class="header">
      <a class="brand" href="#/wall"><Icon name="eye" /><strong>{t("app.name")}</strong></a>
      <nav class="nav" aria-label={t("nav.main")}>
        {views.filter((v) => v !== "help" && ((v !== "register" && v !== "letters") || s?.user.role === "admin")).map((v) => (
          <a key={v} href={`#/${v}`} aria-current={v === view ? "page" : undefined} data-testid={`nav-${v}`}>
            {t(`nav.${v}`)}
            {v === "letters" && dead > 0 && <span class="badge num" data-testid="letters-badge">{dead}</span>}
            {v === "wall" && n > 0 && <span class="badge num">{n}{next && "+"}</span>}
          </a>
        ))}
      </nav>
      <div class="tools">
        <LiveChip />
        <Sound />
        <ThemeButton />
        <LangButton />
        <button type="button" class="button-icon" aria-label={t("help.keys")} title={`${t("help.keys")} (?)`} onClick={p.onHelp} data-testid="help"><Icon name="help" /></button>
        <details class="menu" ref={menu} data-testid="user-menu">
          <summary aria-label={t("user.menu")}><Icon name="user" /><span class="menu-name">{s?.user.display || s?.user.name}</span></summary>
          <div class="menu-body">
            <p><strong>{s?.user.display || s?.user.name}</strong><span>{[s?.user.unit, s?.user.post, s ? t(`role.${s.user.role}`) : ""].filter(Boolean).join(" · ")}</span></p>
            <button type="button" class="button" onClick={p.onPassword} data-testid="change-password">{t("user.password")}</button>
            <button type="button" class="button" onClick={() => void logout()} data-testid="logout">{t("user.logout")}</button>
          </div>
        </details>
      </div>
    </header>
  );
}

/** LiveChip always says whether the page is live and when the last message came. */
function LiveChip() {
  const s = useValue(live);
  const now = useValue(second);
  const l = useValue(lang);
  const phase = s.phase === "off" ? "connecting" : s.phase;
  const last = s.lastMessage ? t("live.last", { age: age((now - s.lastMessage) / 1000, l) }) : t("live.none");
  const since = phase === "reconnecting" ? t("live.since", { age: age((now - s.since) / 1000, l) }) : last;
  return (
    <div class={`live live-${phase}`} title={last} data-testid="live-state" data-state={phase}>
      <span class="live-dot" />
      <span class="live-text" role="status">{t(`live.${phase}`)}</span>
      <span class="live-since num">{since}</span>
    </div>
  );
}

/** LiveBanner marks stale data for all to see, and a wrong clock. */
export function LiveBanner() {
  const s = useValue(live);
  const now = useValue(second);
  const l = useValue(lang);
  const skew = useValue(skewMs);
  const down = s.phase === "reconnecting" && now - s.since > 3000;
  return (
    <>
      {down && <div class="banner banner-error" role="alert" data-testid="stale"><Icon name="warning" />{t("live.stale", { age: age((now - s.since) / 1000, l) })}</div>}
      {Math.abs(skew) > 30_000 && <div class="banner" data-testid="skew"><Icon name="clock" />{t("live.clock", { age: age(Math.abs(skew) / 1000, l) })}</div>}
    </>
  );
}

export function PasswordBanner({ onChange }: { onChange: () => void }) {
  return (
    <div class="banner" data-testid="password-banner">
      <Icon name="warning" />{t("password.banner")}
      <button type="button" class="button-small" onClick={onChange}>{t("user.password")}</button>
    </div>
  );
}

function Sound() {
  const on = useValue(muted) === "on";
  const wait = useValue(blocked);
  const now = t(!on ? "set.sound.off" : wait ? "set.sound.blocked" : "set.sound.on");
  const flip = (): void => {
    if (on && wait) unlock();
    else muted.set(on ? "off" : "on");
  };
  return (
    <button type="button" class={on && wait ? "button-icon sound-wait" : "button-icon"} aria-pressed={on} aria-label={t("set.sound.label", { now })}
      title={on && wait ? t("set.sound.blocked.hint") : t("set.sound.label", { now })} onClick={flip} data-testid="sound" data-state={!on ? "off" : wait ? "blocked" : "on"}>
      <Icon name={on ? "sound" : "sound-off"} />
      {(!on || wait) && <span class="tool-text">{now}</span>}
    </button>
  );
}

export function ThemeButton() {
  const now = useValue(theme);
  const label = t("set.theme.label", { now: t(`set.theme.${now}`) });
  return <button type="button" class="button-icon" aria-label={label} title={label} onClick={nextTheme} data-testid="theme"><Icon name={now === "dark" ? "moon" : now === "light" ? "sun" : "auto"} /></button>;
}

export function LangButton() {
  const l = useValue(lang);
  return (
    <button type="button" class="button-icon" lang={l === "zh" ? "en" : "zh-CN"} aria-label={t("set.lang.label")} title={t("set.lang.label")} onClick={() => lang.set(l === "zh" ? "en" : "zh")} data-testid="lang">
      <Icon name="lang" /><span class="tool-text">{t("set.lang")}</span>
    </button>
  );
}

export function Footer() {
  useValue(second);
  return (
    <footer class="footer">
      <span class="promise" data-testid="promise">{t("promise")}</span>
      <a href="#/help">{t("nav.help")}</a>
      <span class="num">{stamp(serverNow())}</span>
    </footer>
  );
}

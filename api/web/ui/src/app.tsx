// The frame of the page: login or shell, keyboard, live connection, title.
import { useEffect, useState } from "preact/hooks";
import { cameraTick, eventTick } from "./bus";
import { startClock } from "./clock";
import { t, lang } from "./i18n";
import { Keyboard, type Command } from "./keys";
import { Live } from "./live";
import type { Row } from "./model";
import { useValue } from "./observable";
import { forgetPictures } from "./picture";
import { go, route } from "./route";
import { ask, session } from "./session";
import { Footer, Header, LiveBanner, PasswordBanner } from "./shell";
import { muted, unlock } from "./sound";
import { Toasts } from "./toast";
import { CamerasView } from "./views/cameras";
import { CoverageView } from "./views/coverage";
import { EventsView } from "./views/events";
import { HelpDialog, HelpView } from "./views/help";
import { LoginView, PasswordDialog } from "./views/login";
import { LettersView } from "./views/letters";
import { RegisterView } from "./views/register";
import { WallView } from "./views/wall";
import { feed, load, receive, resetFeed, tidy } from "./wall/feed";
import { waiting } from "./wall/rows";
import { wallCommand } from "./wall/commands";
import { Notice } from "./widgets";

const connection = new Live(
  (m) => {
    if (m.event === "hello") return resync();
    if (m.event === "camera") cameraTick.update((n) => n + 1);
    if (m.event === "event") eventTick.update((n) => n + 1);
    if (m.event !== "alert") return;
    try {
      const row = JSON.parse(m.data) as Row;
      if (row?.alert?.id) receive(row);
    } catch {
      void load(true); // a message we cannot read: ask for the truth instead
    }
  },
);

/** resync reads the lists anew. It runs after each hello: what happens from then on comes by the stream, so nothing falls in between. */
function resync(): void {
  void load(feed.get().items.length > 0);
  cameraTick.update((n) => n + 1);
  eventTick.update((n) => n + 1);
}

const typingIn = (e: Element | null): boolean => e !== null && e.matches("input:not([type=checkbox]), select, textarea, [contenteditable]");

/** useKeyboard hands every stroke outside a dialog to the table of keys. */
function useKeyboard(run: (c: Command) => void): void {
  useEffect(() => {
    const keyboard = new Keyboard();
    const down = (e: KeyboardEvent): void => {
      unlock();
      if (e.defaultPrevented || e.isComposing || document.querySelector("dialog[open]")) return;
      const at = document.activeElement;
      const command = keyboard.command(
        { key: e.key, modified: e.ctrlKey || e.altKey || e.metaKey, typing: typingIn(at), control: at !== null && at.matches("button, a, summary"), repeat: e.repeat },
        route.get() === "wall",
        performance.now(),
      );
      if (!command) return;
      e.preventDefault();
      run(command);
    };
    addEventListener("keydown", down);
    addEventListener("pointerdown", unlock);
    return () => {
      removeEventListener("keydown", down);
      removeEventListener("pointerdown", unlock);
    };
  }, [run]);
}

function useTitle(): void {
  const view = useValue(route);
  const { items, held } = useValue(feed);
  useValue(lang);
  const { phase } = useValue(session);
  useEffect(() => {
    const n = waiting(items) + held.size;
    const name = phase === "in" ? t(`nav.${view}`) : t("login.title");
    document.title = `${phase === "in" && n > 0 ? `(${n}) ` : ""}${name} · ${t("app.name")}`;
  });
}

export function App() {
  useValue(lang);
  useTitle();
  const { phase } = useValue(session);
  if (phase === "asking") return <Notice text={t("common.loading")} />;
  if (phase === "unreachable") return <Notice error text={t("error.network")} onRetry={() => void ask()} />;
  if (phase === "out") return <><LoginView /><Toasts /></>;
  return <Inside />;
}

function Inside() {
  const view = useValue(route);
  const { session: s } = useValue(session);
  const [help, setHelp] = useState(false);
  const [password, setPassword] = useState(s?.must_change_password ?? false);

  useEffect(() => {
    connection.start();
    const stop = startClock(tidy);
    return () => {
      stop();
      connection.stop();
      resetFeed();
      forgetPictures();
    };
  }, []);
  useKeyboard(runner);
  useEffect(() => {
    openHelp = () => setHelp(true);
  }, []);

  return (
    <div class={`shell shell-${view}`}>
      <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); document.getElementById("main")?.focus(); }}>{t("app.skip")}</a>
      <Header onPassword={() => setPassword(true)} onHelp={() => setHelp(true)} />
      <LiveBanner />
      {s?.must_change_password && !password && <PasswordBanner onChange={() => setPassword(true)} />}
      <main id="main" tabIndex={-1} class="main">
        {view === "wall" && <WallView />}
        {view === "events" && <EventsView />}
        {view === "coverage" && <CoverageView />}
        {view === "cameras" && <CamerasView />}
        {view === "register" && <RegisterView />}
        {view === "letters" && <LettersView />}
        {view === "help" && <HelpView />}
      </main>
      <Footer />
      {help && <HelpDialog onClose={() => setHelp(false)} />}
      {password && <PasswordDialog onClose={() => setPassword(false)} />}
      <Toasts />
    </div>
  );
}

let openHelp = (): void => {};

function runner(c: Command): void {
  if (c.startsWith("go.")) return go(c.slice(3) as "wall");
  if (c === "help") return openHelp();
  if (c === "escape") return (document.activeElement as HTMLElement | null)?.blur();
  if (c === "mute") return muted.update((m) => (m === "on" ? "off" : "on"));
  wallCommand(c);
}

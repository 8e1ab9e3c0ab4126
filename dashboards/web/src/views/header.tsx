import { clock, span } from '../format';
import { lang, pick, setLang, t } from '../i18n';
import { changed, now, signOut, store } from '../store';
import { start } from '../live';

export function Header() {
  const w = t();
  const s = store.state;
  const title = s ? pick(s.config.title) : w.stations;
  const swap = () => {
    setLang(lang() === 'vi' ? 'en' : 'vi');
    changed();
  };
  return (
    <header class="top">
      <a class="skip" href="#/" onClick={() => document.getElementById('stations')?.focus()}>{w.skip}</a>
      <div class="brand">
        <a href="#/" class="home">
          <svg viewBox="0 0 32 32" width="34" height="34" aria-hidden="true"><use href="/icon.svg#mark" /></svg>
          <span><b>{title}</b><small>{w.subtitle}</small></span>
        </a>
      </div>
      <div class="tools">
        <button type="button" class="tool" onClick={swap} aria-label={w.otherLabel} lang={lang() === 'vi' ? 'en' : 'vi'}>{lang() === 'vi' ? 'EN' : 'VI'}</button>
        {s?.session.staff
          ? <button type="button" class="tool icon" aria-label={w.signOut} title={w.signedInAs(s.session.name)} onClick={() => void signOut().then(start)}><Out /><span>{w.signOut}</span></button>
          : s?.config.sign_in && <a class="tool icon" aria-label={w.signIn} href="#/sign-in"><Person /><span>{w.signIn}</span></a>}
      </div>
    </header>
  );
}

function Person() {
  return <svg viewBox="0 0 24 24" width="22" height="22" aria-hidden="true"><circle cx="12" cy="8" r="4" /><path d="M4 20.500c1.200-4 4.400-6 8-6s6.800 2 8 6" /></svg>;
}

function Out() {
  return <svg viewBox="0 0 24 24" width="22" height="22" aria-hidden="true"><path d="M10 4H5v16h5M14 8l4 4-4 4M8.500 12H18" /></svg>;
}

// Line says whether what is shown is from now.
export function LineStatus() {
  const w = t();
  const s = store;
  if (!s.state) return null;
  const at = clock(s.heard);
  const age = span(Math.max(0, now() - s.heard));
  const text = {
    live: `${w.live} · ${clock(now())}`, polling: `${w.polling} · ${at}`, connecting: w.connecting,
    broken: `${w.interrupted} ${at}.`, offline: w.offline(at, w.ago(age)),
  }[s.line];
  const bad = s.line === 'broken' || s.line === 'offline';
  return <p class={`line ${s.line}`} role={bad ? 'alert' : undefined}><span class="lamp" aria-hidden="true" />{text}</p>;
}

export function Banners() {
  const w = t();
  const st = store.state;
  if (!st) return null;
  const sim = st.stations.filter((s) => s.simulated).length;
  return (
    <>
      {sim > 0 && (
        <p class="banner simulated"><strong>{w.simulatedBoth}</strong> {sim === st.stations.length ? w.simulatedAll : w.simulatedSome}</p>
      )}
      {st.trouble && <p class="banner trouble" role="alert">{w.trouble(clock(st.trouble.since))}</p>}
    </>
  );
}

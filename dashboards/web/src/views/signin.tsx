import { useEffect, useRef, useState } from 'preact/hooks';
import { t } from '../i18n';
import { start } from '../live';
import { setupNeeded, signIn, store, type Answer } from '../store';

// SignIn is for staff; while there is no account at all, it makes the first
// one with the setup code that the server printed.
export function SignIn({ closed }: { closed?: boolean }) {
  const w = t();
  const [error, setError] = useState('');
  const [busy, setBusy] = useState(false);
  const [setup, setSetup] = useState(false);
  const code = useRef<HTMLInputElement>(null);
  const name = useRef<HTMLInputElement>(null);
  const password = useRef<HTMLInputElement>(null);
  useEffect(() => {
    name.current?.focus();
    void setupNeeded().then(setSetup);
  }, []);
  const said = (a: Answer) => {
    if (a.status === 429 || a.status === 503) return w.tooMany;
    if (a.status < 400 || a.status >= 500) return w.signInFailed;
    return setup ? `${w.setupWrong} ${a.reason}` : w.wrong;
  };
  const submit = async (e: Event) => {
    e.preventDefault();
    setBusy(true);
    const a = await signIn(name.current!.value, password.current!.value, setup ? code.current!.value.trim() : '');
    setBusy(false);
    if (a.status >= 200 && a.status < 300) {
      await start();
      location.hash = '#/';
      return;
    }
    setError(said(a));
    password.current!.select();
  };
  if (store.state?.session.staff) return <p class="card">{w.signedInAs(store.state.session.name)}</p>;
  return (
    <form class="card signin" onSubmit={(e) => void submit(e)}>
      <h1>{setup ? w.setupTitle : w.signInTitle}</h1>
      {closed && <p>{w.closed}</p>}
      {setup && <p>{w.setupText}</p>}
      {setup && <label>{w.setupCode}<input ref={code} name="code" autocomplete="one-time-code" autocapitalize="none" spellcheck={false} required maxLength={128} /></label>}
      <label>{w.name}<input ref={name} name="name" autocomplete="username" autocapitalize="none" spellcheck={false} required maxLength={128} /></label>
      <label>{w.password}<input ref={password} name="password" type="password" autocomplete={setup ? 'new-password' : 'current-password'} required maxLength={1024} /></label>
      {error && <p class="error" role="alert">{error}</p>}
      <button type="submit" class="primary" disabled={busy}>{setup ? w.setupDo : w.signIn}</button>
    </form>
  );
}

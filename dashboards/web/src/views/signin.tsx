import { useEffect, useRef, useState } from 'preact/hooks';
import { t } from '../i18n';
import { start } from '../live';
import { signIn, store } from '../store';

export function SignIn() {
  const w = t();
  const [error, setError] = useState('');
  const [busy, setBusy] = useState(false);
  const name = useRef<HTMLInputElement>(null);
  const password = useRef<HTMLInputElement>(null);
  useEffect(() => name.current?.focus(), []);
  const submit = async (e: Event) => {
    e.preventDefault();
    setBusy(true);
    const code = await signIn(name.current!.value, password.current!.value);
    setBusy(false);
    if (code >= 200 && code < 300) {
      await start();
      location.hash = '#/';
      return;
    }
    setError(code === 429 || code === 503 ? w.tooMany : code >= 400 && code < 500 ? w.wrong : w.signInFailed);
    password.current!.select();
  };
  if (store.state?.session.staff) return <p class="card">{w.signedInAs(store.state.session.name)}</p>;
  return (
    <form class="card signin" onSubmit={(e) => void submit(e)}>
      <h1>{w.signInTitle}</h1>
      <label>{w.name}<input ref={name} name="name" autocomplete="username" autocapitalize="none" spellcheck={false} required maxLength={128} /></label>
      <label>{w.password}<input ref={password} name="password" type="password" autocomplete="current-password" required maxLength={1024} /></label>
      {error && <p class="error" role="alert">{error}</p>}
      <button type="submit" class="primary" disabled={busy}>{w.signIn}</button>
    </form>
  );
}

// The page's one piece of state: what the centre said last, when, and whether
// the line is alive. Views read it through useStore.

import { useEffect, useState } from 'preact/hooks';
import type { Detail, State, Station, Warning } from './model';

export type Line = 'connecting' | 'live' | 'polling' | 'broken' | 'offline';

export interface Store {
  state: State | null;
  line: Line;
  failed: boolean; // nothing could be loaded, not even from the phone
  refused: boolean; // the figures are for signed-in staff only
  offset: number; // centre's clock less the phone's, ms
  heard: number; // centre's time of the newest word from it
  announcement: string; // read out by screen readers
}

export const store: Store = { state: null, line: 'connecting', failed: false, refused: false, offset: 0, heard: 0, announcement: '' };

const listeners = new Set<() => void>();

export function changed(): void {
  for (const f of listeners) f();
}

export function useStore(): Store {
  const [, poke] = useState(0);
  useEffect(() => {
    const f = () => poke((n) => n + 1);
    listeners.add(f);
    return () => void listeners.delete(f);
  }, []);
  return store;
}

// now is the centre's time.
export function now(): number {
  return Date.now() + store.offset;
}

export function setClock(centre: number, phone = Date.now()): void {
  store.offset = centre - phone;
  store.heard = Math.max(store.heard, centre);
}

export interface Update {
  now: number; version: string; trouble: State['trouble']; full?: boolean; warnings?: Warning[]; stations: Station[];
}

// apply takes an update of the live stream in.
export function apply(u: Update, announce: (w: Warning) => string): void {
  const s = store.state;
  if (!s) return;
  const byId = new Map(u.stations.map((x) => [x.id, x]));
  const stations = u.full ? u.stations : s.stations.map((x) => byId.get(x.id) ?? x);
  if (u.warnings) {
    const known = new Map(s.warnings.map((w) => [w.id, w.level]));
    const fresh = u.warnings.find((w) => w.level > (known.get(w.id) ?? 0) || !known.has(w.id));
    if (fresh) store.announcement = announce(fresh);
  }
  store.state = { ...s, version: u.version, trouble: u.trouble, warnings: u.warnings ?? s.warnings, stations };
  setClock(u.now);
  remember(rememberEvery);
  changed();
}

// Answer is a fetched body with what its headers say of its age.
async function get<T>(url: string): Promise<{ body: T; offline: boolean }> {
  const res = await fetch(url, { credentials: 'same-origin', headers: { Accept: 'application/json' } });
  if (!res.ok) throw Object.assign(new Error(`${url}: ${res.status}`), { status: res.status });
  const body = (await res.json()) as T;
  const centre = Number(res.headers.get('Quantrac-Now'));
  // The service worker answers from its store when the network does not.
  const saved = Number(res.headers.get('Quantrac-Saved'));
  if (saved) {
    if (!store.heard) store.heard = centre;
    store.offset = centre - saved;
  } else if (centre) setClock(centre);
  return { body, offline: saved > 0 };
}

export async function loadState(): Promise<boolean> {
  try {
    const { body, offline } = await get<State>('/api/page/state');
    if (store.state?.session.staff && !body.session.staff && !offline) forget(); // the session has ended
    store.state = body;
    store.failed = store.refused = false;
    if (offline) store.line = 'offline';
    else remember(0);
    changed();
    return !offline;
  } catch (err) {
    store.refused = (err as { status?: number }).status === 401;
    if (store.refused) {
      store.state = null;
      forget();
    }
    store.failed = !store.state;
    if (store.state) store.line = 'offline';
    changed();
    return false;
  }
}

export async function loadDetail(id: string, days: number, series: string): Promise<Detail> {
  const q = new URLSearchParams({ days: String(days) });
  if (series) q.set('series', series);
  return (await get<Detail>(`/api/page/station/${encodeURIComponent(id)}?${q}`)).body;
}

export function csvURL(id: string, days: number, series: string): string {
  const q = new URLSearchParams({ days: String(days) });
  if (series) q.set('series', series);
  return `/api/page/station/${encodeURIComponent(id)}/series.csv?${q}`;
}

export interface Answer { status: number; reason: string } // status 0 where the centre was not reached

// signIn signs in, or with a setup code makes the first account.
export async function signIn(name: string, password: string, code: string): Promise<Answer> {
  try {
    const res = await fetch(code ? '/api/auth/setup' : '/api/auth/login', {
      method: 'POST', credentials: 'same-origin', headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(code ? { code, name, password } : { name, password }),
    });
    const reason = res.ok ? '' : ((await res.json().catch(() => ({}))) as { error?: string }).error ?? '';
    return { status: res.status, reason };
  } catch {
    return { status: 0, reason: '' };
  }
}

// setupNeeded says whether there is no account yet.
export async function setupNeeded(): Promise<boolean> {
  try {
    const res = await fetch('/api/auth/session', { credentials: 'same-origin' });
    return ((await res.json()) as { setup_needed?: boolean }).setup_needed === true;
  } catch {
    return false;
  }
}

// The newest figures are kept where the service worker looks when the centre is
// away. It sees only what is asked for: not what the live line brings, and not the
// first answer, which came before it was there.
const rememberEvery = 10_000;
let due = 0; // timer, 0 for none

function remember(wait: number): void {
  if (!due) due = window.setTimeout(() => void write(), wait);
}

async function write(): Promise<void> {
  clearTimeout(due);
  due = 0;
  if (!store.state || !store.heard || !('caches' in window)) return;
  const headers = { 'Content-Type': 'application/json', 'Quantrac-Now': String(store.heard), 'Quantrac-Saved': String(store.heard - store.offset) };
  try {
    await (await caches.open('data')).put('/api/page/state', new Response(JSON.stringify(store.state), { headers }));
  } catch { /* no room on the phone, or storage is switched off */ }
}

document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'hidden' && store.line === 'live') void write();
});

// forget takes what only staff may see off the phone.
function forget(): void {
  clearTimeout(due);
  due = 0;
  navigator.serviceWorker?.controller?.postMessage('forget');
}

export async function signOut(): Promise<void> {
  try {
    await fetch('/api/auth/logout', { method: 'POST', credentials: 'same-origin' });
  } finally {
    forget();
  }
}

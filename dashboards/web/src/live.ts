// The live line: server-sent events, taken up again when they break, and
// plain polling where they cannot be had.

import { pick, t } from './i18n';
import { apply, changed, loadState, setClock, store, type Update } from './store';

const silence = 50_000; // three beats of the server and a little
const pollEvery = 60_000;
const retryLive = 5 * 60_000; // while polling, the stream is tried again

let source: EventSource | null = null;
let watchdog = 0;
let poller = 0;
let attempts = 0;

function line(l: typeof store.line): void {
  if (store.line !== l) {
    store.line = l;
    changed();
  }
}

function heard(): void {
  attempts = 0;
  line('live');
  clearTimeout(watchdog);
  watchdog = window.setTimeout(broken, silence);
}

function broken(): void {
  close();
  attempts++;
  line(navigator.onLine ? 'broken' : 'offline');
  if (attempts >= 3) poll();
  else watchdog = window.setTimeout(start, 2000 * 2 ** attempts + Math.random() * 2000);
}

function close(): void {
  source?.close();
  source = null;
  clearTimeout(watchdog);
  clearInterval(poller);
}

// start loads everything once, then follows.
export async function start(): Promise<void> {
  close();
  if (!(await loadState())) {
    if (!store.refused) watchdog = window.setTimeout(start, store.state ? 15_000 : 5_000);
    return;
  }
  follow();
}

function follow(): void {
  if (typeof EventSource === 'undefined') {
    poll();
    return;
  }
  if (store.line === 'offline') line('connecting');
  source = new EventSource(`/api/page/live?since=${encodeURIComponent(store.state?.version ?? '')}`);
  source.addEventListener('update', (e) => {
    apply(JSON.parse((e as MessageEvent<string>).data) as Update, (w) => t().newWarning(pick(w.headline)));
    heard();
  });
  source.addEventListener('beat', (e) => {
    setClock((JSON.parse((e as MessageEvent<string>).data) as { now: number }).now);
    heard();
    changed();
  });
  source.onopen = heard;
  source.onerror = () => {
    // The browser tries again by itself unless the answer was a refusal.
    if (source?.readyState === EventSource.CLOSED) broken();
    else line(navigator.onLine ? 'broken' : 'offline');
  };
  watchdog = window.setTimeout(broken, silence);
}

function poll(): void {
  close();
  const ask = async () => {
    if (await loadState()) line('polling');
    else if (store.refused) close();
  };
  void ask();
  poller = window.setInterval(ask, pollEvery);
  watchdog = window.setTimeout(() => {
    attempts = 0;
    void start();
  }, retryLive);
}

window.addEventListener('online', () => {
  attempts = 0;
  void start();
});
window.addEventListener('offline', () => line('offline'));
// A page kept for the back button must not keep its line: a browser has only
// six to one host.
window.addEventListener('pagehide', close);
window.addEventListener('pageshow', (e) => {
  if (e.persisted) void start();
});
document.addEventListener('visibilitychange', () => {
  // A phone that slept may hold a dead connection without knowing it.
  if (document.visibilityState === 'visible' && store.line !== 'live') void start();
});

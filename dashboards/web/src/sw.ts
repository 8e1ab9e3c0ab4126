// The service worker: keeps the page's own files and the newest figures on
// the phone, so that it opens without a network and says how old they are.

/// <reference lib="webworker" />
const sw = self as unknown as ServiceWorkerGlobalScope;
const shell = `shell-${BUILD}`;
const data = 'data';
const maxData = 60; // answers kept; the oldest go
const patience = 8000; // ms for the network before the kept figures are shown

sw.addEventListener('install', (e) => {
  e.waitUntil(caches.open(shell).then((c) => c.addAll(SHELL)).then(() => sw.skipWaiting()));
});

sw.addEventListener('activate', (e) => {
  e.waitUntil((async () => {
    for (const k of await caches.keys()) if (k !== shell && k !== data) await caches.delete(k);
    await sw.clients.claim();
  })());
});

// Signing out takes what staff saw off the phone.
sw.addEventListener('message', (e) => {
  if (e.data === 'forget') e.waitUntil(caches.delete(data));
});

sw.addEventListener('fetch', (e) => {
  const url = new URL(e.request.url);
  if (e.request.method !== 'GET' || url.origin !== sw.location.origin) return;
  if (url.pathname === '/api/page/state' || /^\/api\/page\/station\/[^/]+$/.test(url.pathname)) {
    e.respondWith(figures(e.request));
  } else if (e.request.mode === 'navigate' && url.pathname === '/') {
    e.respondWith(page(e.request));
  } else if (SHELL.includes(url.pathname)) {
    e.respondWith(caches.match(url.pathname).then((hit) => hit ?? fetch(e.request)));
  }
});

// away says that the centre is not there, in the words of a proxy before it.
function away(res: Response): boolean {
  return res.status >= 502 && res.status <= 504;
}

// page is the newest one where the centre answers, else the kept one.
async function page(req: Request): Promise<Response> {
  const kept = () => caches.match('/');
  try {
    const res = await fetch(req, { signal: AbortSignal.timeout(patience) });
    return (away(res) && (await kept())) || res;
  } catch {
    return (await kept()) ?? Response.error();
  }
}

async function figures(req: Request): Promise<Response> {
  const cache = await caches.open(data);
  try {
    const res = await fetch(req, { signal: AbortSignal.timeout(patience) });
    if (res.ok) await keep(cache, req, res.clone());
    return (away(res) && (await cache.match(req.url, { ignoreVary: true }))) || res;
  } catch (err) {
    const hit = await cache.match(req.url, { ignoreVary: true });
    if (hit) return hit;
    throw err;
  }
}

// keep stores an answer with the phone's time, from which its age follows.
async function keep(cache: Cache, req: Request, res: Response): Promise<void> {
  const headers = new Headers(res.headers);
  headers.set('Quantrac-Saved', String(Date.now()));
  headers.delete('Content-Encoding');
  headers.delete('Content-Length');
  headers.delete('Vary');
  await cache.delete(req.url);
  await cache.put(req.url, new Response(await res.blob(), { status: 200, headers }));
  const keys = await cache.keys();
  for (const old of keys.slice(0, Math.max(0, keys.length - maxData))) await cache.delete(old);
}

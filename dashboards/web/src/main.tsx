import { Component, render } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { lang, pick, setLang, t } from './i18n';
import { families, type Shape, type Station } from './model';
import { start } from './live';
import { changed, now, store, useStore } from './store';
import { applyTheme, theme, type Theme } from './theme';
import { Banners, Header, LineStatus } from './views/header';
import { filtered, Filters, StationList, type Filter } from './views/list';
import { SignIn } from './views/signin';
import { StationPage } from './views/station';
import { AllWarnings, Warnings } from './views/warnings';
import { FamilySign, StateShape } from './shapes';
import { stationName } from './words';
import './style.css';

type View = 'list' | 'map' | 'warnings' | 'sign-in' | 'station';
type Route = { view: View; id: string };

// Messages of the first versions link to a station as /?station=ID.
function understandOldLink(): void {
  const id = new URLSearchParams(location.search).get('station');
  if (id && !location.hash) history.replaceState(null, '', `/#/station/${encodeURIComponent(id)}`);
}

function route(): Route {
  const [, view = '', id = ''] = location.hash.split('/');
  if (view === 'station' && id) {
    try {
      return { view, id: decodeURIComponent(id) };
    } catch {
      return { view: 'list', id: '' }; // a mangled link
    }
  }
  return { view: view === 'map' || view === 'warnings' || view === 'sign-in' ? view : 'list', id: '' };
}

const wideQuery = window.matchMedia('(min-width: 1000px)');

function App() {
  const s = useStore();
  const [r, setRoute] = useState(route);
  const [wide, setWide] = useState(wideQuery.matches);
  const [filter, setFilter] = useState<Filter>({ text: '', family: '', sort: 'grave' });
  const [, tick] = useState(0);
  useEffect(() => {
    const onHash = () => setRoute(route());
    const onWide = () => setWide(wideQuery.matches);
    const timer = window.setInterval(() => tick((n) => n + 1), 10_000); // ages grow
    window.addEventListener('hashchange', onHash);
    wideQuery.addEventListener('change', onWide);
    return () => {
      clearInterval(timer);
      window.removeEventListener('hashchange', onHash);
      wideQuery.removeEventListener('change', onWide);
    };
  }, []);
  const at = now();
  const stations = s.state?.stations ?? [];
  const station = stations.find((x) => x.id === r.id);
  useEffect(() => {
    const title = s.state ? pick(s.state.config.title) : 'Quantrac';
    document.title = station ? `${stationName(station)} – ${title}` : title;
  }, [r.id, station?.name, lang(), s.state !== null]);
  if (s.refused) return <Closed />;
  if (!s.state) return <First failed={s.failed} />;
  const side = wide || r.view === 'list' || r.view === 'map';
  const shown = filtered(stations, filter, at);
  return (
    <>
      <Header />
      <div class={`page at-${r.view}${wide ? ' wide' : ''}`}>
        <div class="status"><Banners /><LineStatus /></div>
        {side && (
          <aside>
            <Warnings list={s.state.warnings} few={wide ? 5 : r.view === 'map' ? 1 : 3} open={wide || r.view !== 'map'} />
            {!wide && <Tabs view={r.view} />}
            <Filters stations={stations} filter={filter} set={setFilter} />
            {(wide || r.view === 'list') && <StationList stations={stations} filter={filter} now={at} current={r.id} />}
          </aside>
        )}
        {(wide || r.view !== 'list') && (
          <main>
            {r.view === 'station' ? <StationPage id={r.id} now={at} wide={wide} />
              : r.view === 'sign-in' ? <SignIn />
              : r.view === 'warnings' ? <AllWarnings wide={wide} />
                : <MapView stations={shown} now={at} />}
          </main>
        )}
      </div>
      <Footer />
      <p class="hidden" aria-live="assertive">{s.announcement}</p>
    </>
  );
}

// Closed is the page where the operator keeps it to staff.
function Closed() {
  return (
    <>
      <Header />
      <div class="page at-sign-in"><main><SignIn closed /></main></div>
    </>
  );
}

function Tabs({ view }: { view: string }) {
  const w = t();
  return (
    <nav class="tabs" aria-label={w.stations}>
      <a href="#/" aria-current={view === 'list' ? 'page' : undefined}>{w.list}</a>
      <a href="#/map" aria-current={view === 'map' ? 'page' : undefined}>{w.map}</a>
    </nav>
  );
}

// MapView loads the map when it is first wanted; the list never waits for it.
function MapView({ stations, now: at }: { stations: Station[]; now: number }) {
  const w = t();
  const node = useRef<HTMLDivElement>(null);
  const map = useRef<{ update(s: Station[], now: number): void; destroy(): void } | null>(null);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    let gone = false;
    import('./map').then(async (m) => {
      const made = await m.make(node.current!);
      if (gone) made.destroy();
      else {
        map.current = made;
        made.update(stations, at);
      }
    }).catch(() => setFailed(true));
    return () => {
      gone = true;
      map.current?.destroy();
      map.current = null;
    };
  }, []);
  useEffect(() => map.current?.update(stations, at), [stations, Math.floor(at / 30_000), lang()]);
  const placed = stations.filter((s) => s.lat !== undefined).length;
  return (
    <section class="mapview" aria-label={w.mapLabel}>
      {failed && <p class="error" role="alert">{w.mapFailed}</p>}
      {placed === 0 && <p class="empty">{w.noPlaces}</p>}
      <div class="map" ref={node} />
      <Legend />
      {placed > 0 && placed < stations.length && <p class="small">{w.unplaced(stations.length - placed)}</p>}
    </section>
  );
}

function Legend() {
  const w = t();
  const shapes: [Shape, string][] = [
    ['normal', w.state.normal], ['level1', `${w.level} I`], ['level2', `${w.level} II`], ['level3', `${w.level} III`],
    ['suspect', w.state.suspect], ['failed', w.state.failed], ['silent', w.state.silent], ['plain', w.state.plain],
  ];
  const have = families.filter((f) => store.state?.stations.some((s) => s.family === f));
  return (
    <details class="table"><summary>{w.legend}</summary>
      <ul class="legend key">{shapes.map(([s, text]) => <li key={s}><StateShape shape={s} size={22} />{text}</li>)}</ul>
      <ul class="legend key">{have.map((f) => <li key={f}><FamilySign family={f} />{w.family[f]}</li>)}</ul>
    </details>
  );
}

function First({ failed }: { failed: boolean }) {
  const w = t();
  return (
    <div class="first">
      <svg viewBox="0 0 32 32" width="64" height="64" aria-hidden="true"><use href="/icon.svg#mark" /></svg>
      {failed ? <><p role="alert">{w.firstLoadFailed}</p><button type="button" class="primary" onClick={() => void start()}>{w.retry}</button></> : <p>{w.loading}</p>}
    </div>
  );
}

function Footer() {
  const w = t();
  return (
    <footer>
      <p><b>{w.subtitle}.</b> {w.disclaimer} {w.zone}</p>
      <p>
        <label>{w.theme}: <select value={theme()} onChange={(e) => { applyTheme(e.currentTarget.value as Theme); changed(); }}>
          {(['auto', 'light', 'dark'] as Theme[]).map((x) => <option key={x} value={x}>{w.themes[x]}</option>)}
        </select></label>
        {store.state?.config.open_data && <a class="go" href="/open/stations.geojson">{w.open} (GeoJSON)</a>}
      </p>
      <p class="small">{w.credit}.</p>
    </footer>
  );
}

// Guard keeps a fault in one view from blanking the page.
class Guard extends Component<object, { failed: boolean }> {
  override state = { failed: false };
  override componentDidCatch(e: unknown) {
    console.error(e);
    this.setState({ failed: true });
  }
  render(props: { children?: preact.ComponentChildren }, s: { failed: boolean }) {
    return s.failed ? <First failed /> : props.children;
  }
}

understandOldLink();
setLang(lang());
applyTheme(theme());
render(<Guard><App /></Guard>, document.getElementById('app')!);
void start();
if ('serviceWorker' in navigator) {
  // Without one the page works, only not offline.
  navigator.serviceWorker.register('/sw.js').catch(() => undefined);
}

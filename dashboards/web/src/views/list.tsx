import { useMemo, useState } from 'preact/hooks';
import { num, when, withUnit } from '../format';
import { lang, pick, t } from '../i18n';
import { families, fold, mainReading, rank, shapeOf, stationStatus, type Family, type Station } from '../model';
import { Arrow, FamilySign, StateShape } from '../shapes';
import { ageText, isCode, rate, stateLine, stationName, troubleText } from '../words';

type Sort = 'grave' | 'name' | 'fresh';

// Filters live above the views, so that map and list show the same stations
// and coming back finds them as they were.
export interface Filter { text: string; family: Family | ''; sort: Sort }

export function filtered(stations: Station[], f: Filter, now: number): Station[] {
  const want = fold(f.text).split(/\s+/).filter(Boolean);
  const out = stations.filter((s) => {
    if (f.family && s.family !== f.family) return false;
    if (want.length === 0) return true;
    const hay = fold([s.id, s.name, s.name_en, s.river, s.commune, s.district].filter(Boolean).join(' '));
    return want.every((x) => hay.includes(x));
  });
  const names = new Intl.Collator(lang());
  const byName = (a: Station, b: Station) => names.compare(stationName(a), stationName(b));
  const by: Record<Sort, (a: Station, b: Station) => number> = {
    grave: (a, b) => rank(a, now) - rank(b, now) || byName(a, b),
    name: byName,
    fresh: (a, b) => (mainReading(b)?.time ?? 0) - (mainReading(a)?.time ?? 0) || byName(a, b),
  };
  return out.sort(by[f.sort]);
}

export function Filters({ stations, filter, set }: { stations: Station[]; filter: Filter; set: (f: Filter) => void }) {
  const w = t();
  const have = families.filter((f) => stations.some((s) => s.family === f));
  const count = (f: Family) => stations.filter((s) => s.family === f).length;
  return (
    <div class="filters" role="search">
      <div class="row">
        <input type="search" value={filter.text} placeholder={w.search} aria-label={w.searchLabel} autocomplete="off"
          onInput={(e) => set({ ...filter, text: e.currentTarget.value })} />
        <label class="sort"><span class="hidden">{w.sort}</span>
          <select value={filter.sort} onChange={(e) => set({ ...filter, sort: e.currentTarget.value as Sort })}>
            {(['grave', 'name', 'fresh'] as Sort[]).map((s) => <option key={s} value={s}>{w.sortBy[s]}</option>)}
          </select>
        </label>
      </div>
      {have.length > 1 && (
        <div class="chips" role="group" aria-label={w.stations}>
          <button type="button" aria-pressed={filter.family === ''} onClick={() => set({ ...filter, family: '' })}>{w.all} <span>{stations.length}</span></button>
          {have.map((f) => (
            <button key={f} type="button" aria-pressed={filter.family === f} onClick={() => set({ ...filter, family: filter.family === f ? '' : f })}>
              <FamilySign family={f} />{w.family[f]} <span>{count(f)}</span>
            </button>
          ))}
        </div>
      )}
    </div>
  );
}

export function StationList({ stations, filter, now, current }: { stations: Station[]; filter: Filter; now: number; current: string }) {
  const w = t();
  const minute = Math.floor(now / 30_000);
  const shown = useMemo(() => filtered(stations, filter, now), [stations, filter.text, filter.family, filter.sort, minute, lang()]);
  const [limit, setLimit] = useState(200);
  return (
    <section class="list" aria-labelledby="stations">
      <h2 id="stations" tabIndex={-1}>{w.stations} <span class="count" aria-live="polite">{w.found(shown.length)}</span></h2>
      {shown.length === 0 && <p class="empty">{stations.length ? w.noneFound : w.noStations}</p>}
      <ul>
        {shown.slice(0, limit).map((s) => <Row key={s.id} s={s} now={now} current={s.id === current} />)}
      </ul>
      {shown.length > limit && <button type="button" class="more" onClick={() => setLimit(limit + 200)}>{w.found(shown.length - limit)} …</button>}
    </section>
  );
}

function Row({ s, now, current }: { s: Station; now: number; current: boolean }) {
  const w = t();
  const r = mainReading(s);
  const shape = shapeOf(s, now);
  const st = stationStatus(s, now);
  const stale = st === 'silent' || st === 'failed' || st === 'none';
  return (
    <li>
      <a href={`#/station/${encodeURIComponent(s.id)}`} class={`station ${shape}${stale ? ' stale' : ''}`} aria-current={current ? 'page' : undefined}>
        <StateShape shape={shape} />
        <span class="who">
          <b>{stationName(s)}</b>
          <span class="state">{stateLine(s, now)}</span>
        </span>
        <span class="what">
          <Value s={s} />
          {r?.trend && !stale && <span class="trend"><Arrow dir={r.trend.dir} />{w.trend[r.trend.dir]}{r.trend.dir !== 'steady' && ` ${w.perHour(rate(r))}`}</span>}
          {s.rain_day && (s.family === 'rain' || s.rain_day.value > 0) && <span class="trend">{w.rainDay(withUnit(s.rain_day.value, s.rain_day.decimals, s.rain_day.unit))}</span>}
        </span>
        <span class="where">
          <span>
            {s.simulated && <span class="badge sim">{w.simulated}</span>}
            <FamilySign family={s.family} size={15} />{[w.family[s.family], s.commune].filter(Boolean).join(' · ')}
          </span>
          <span class="age">{st === 'failed' ? w.failedShort(when(r?.since ?? now, now)) : stale && r?.time ? troubleText(r, now) : ageText(s, now)}</span>
        </span>
      </a>
    </li>
  );
}

function Value({ s }: { s: Station }) {
  const w = t();
  const r = mainReading(s);
  if (s.family === 'insect') {
    const top = s.night?.catches[0];
    if (!top) return <strong class="words">{w.noCatch}</strong>;
    return <strong class="words">{pick(top.name)} <span class="num">{num(top.count, 0)}</span> <small>{w.perTrapNight}</small></strong>;
  }
  if (!r || r.value === null) return <strong>—</strong>;
  if (isCode(r)) return null; // its words are the state beside the name
  return <strong>{num(r.value, r.decimals)}<small> {r.unit}</small></strong>;
}


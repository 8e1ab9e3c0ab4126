import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { ago, full, night, num, span, when, withUnit } from '../format';
import { lang, pick, t } from '../i18n';
import { mainReading, shapeOf, statusAt, type ChartSeries, type Detail, type Forecast, type Reading, type Station } from '../model';
import { colours, dashes } from '../lines';
import { Arrow, StateShape } from '../shapes';
import { csvURL, loadDetail, store } from '../store';
import { dayChange, distance, isCode, rate, stateWord, stationName, trendWindow, troubleText, valueText } from '../words';
import { Back } from './back';
import { StationWarnings } from './warnings';

export function StationPage({ id, now, wide }: { id: string; now: number; wide: boolean }) {
  const w = t();
  const s = store.state?.stations.find((x) => x.id === id);
  const head = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    head.current?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }, [id]);
  const [series, setSeries] = useState('');
  useEffect(() => setSeries(''), [id]);
  if (!s) return <div class="card"><p>{w.noSuchStation}</p><Back wide={wide} /></div>;
  const main = mainReading(s);
  const drawn = s.readings.find((r) => r.key === series) ?? main;
  const warnings = store.state!.warnings.filter((x) => x.station === id);
  return (
    <article class="detail">
      <Back wide={wide} />
      <h1 ref={head} tabIndex={-1}>{stationName(s)}</h1>
      <p class="sub">
        {s.simulated && <span class="badge sim">{w.simulatedBoth}</span>}
        {[w.family[s.family], s.river, s.commune].filter(Boolean).join(' · ')}
      </p>
      {warnings.length > 0 && <StationWarnings list={warnings} />}
      {(s.family !== 'insect' || troubleText(main, now)) && <Now s={s} r={main} now={now} />}
      {s.night && <NightTable s={s} />}
      {s.readings.length > 1 && s.family !== 'insect' && <Measured s={s} now={now} drawn={drawn} pick={setSeries} />}
      {drawn && <ChartCard s={s} r={drawn} now={now} />}
      <About s={s} r={main} />
    </article>
  );
}

// Now is the reading one looks for first: as large as it can be.
function Now({ s, r, now }: { s: Station; r: Reading | undefined; now: number }) {
  const w = t();
  const shape = shapeOf(s, now);
  const bad = troubleText(r, now);
  const stale = shape === 'silent' || shape === 'failed';
  return (
    <section class={`card now ${shape}${stale ? ' stale' : ''}`}>
      <div class="band"><StateShape shape={shape} size={36} /><div><strong>{stateWord(s, now)}</strong>{r && distance(r) && !isCode(r) && <span>{distance(r)}</span>}</div></div>
      {r && s.family !== 'insect' && !isCode(r) && (
        <p class="big">
          {r.value === null ? '—' : num(r.value, r.decimals)}<small>&nbsp;{r.unit}</small>
          <span class="of">{pick(r.name)}</span>
        </p>
      )}
      {r?.trend && !stale && (
        <p class="trend"><Arrow dir={r.trend.dir} /><b>{w.trend[r.trend.dir]}</b> {w.trendRate(rate(r), trendWindow(r))}</p>
      )}
      {r && !stale && dayChange(r) && <p class="small">{dayChange(r)}</p>}
      {s.rain_day && <p class="trend">{w.rainDay(withUnit(s.rain_day.value, s.rain_day.decimals, s.rain_day.unit))}</p>}
      {r?.time !== undefined && s.family !== 'insect' && <p class="age">{stale ? `${w.lastKnown}: ` : ''}{when(r.time, now)} · {ago(r.time, now)}</p>}
      {bad && <p class="bad" role="status"><b>{bad}.</b></p>}
    </section>
  );
}

function NightTable({ s }: { s: Station }) {
  const w = t();
  const n = s.night!;
  return (
    <section class="card">
      <h2>{w.night(night(n.date))}</h2>
      {n.catches.length === 0 ? <p>{w.nothingCaught}</p> : (
        <table>
          <thead><tr><th scope="col">{w.species}</th><th scope="col" class="r">{w.catch}</th><th scope="col" class="r">{w.nightBefore}</th></tr></thead>
          <tbody>
            {n.catches.map((c) => (
              <tr key={c.species}>
                <th scope="row">{pick(c.name)} {c.role !== 'other' && <span class={`badge ${c.role}`}>{c.role === 'pest' ? w.pest : w.enemy}</span>} {c.status === 'suspect' && <span class="badge">{w.suspect}</span>}</th>
                <td class="r num">{num(c.count, 0)}</td>
                <td class="r num">{c.before === null ? '–' : num(c.before, 0)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function Measured({ s, now, drawn, pick: choose }: { s: Station; now: number; drawn: Reading | undefined; pick: (key: string) => void }) {
  const w = t();
  return (
    <section class="card">
      <h2>{w.measured}</h2>
      <div class="measured">
        {s.readings.map((r) => {
          const st = statusAt(r, now);
          return (
            <button key={r.key} type="button" aria-pressed={r.key === drawn?.key} onClick={() => choose(r.key)}>
              <span>{pick(r.name)}{r.sensor ? ` (${r.sensor})` : ''}</span>
              <b>{valueText(r)}</b>
              <small>{st === 'ok' && r.time ? ago(r.time, now) : st === 'ok' ? '' : w.state[st]}</small>
            </button>
          );
        })}
      </div>
    </section>
  );
}

const allSpans = [1, 5, 30];

function ChartCard({ s, r, now }: { s: Station; r: Reading; now: number }) {
  const w = t();
  const [days, setDays] = useState(s.family === 'insect' ? 30 : 1);
  const [detail, setDetail] = useState<Detail | null>(null);
  const [failed, setFailed] = useState(false);
  const spans = s.family === 'insect' ? allSpans.slice(1) : allSpans; // one night is no curve
  const holder = useRef<HTMLDivElement>(null);
  const [readout, setReadout] = useState('');
  // A new reading arrives as a new time: the chart follows.
  useEffect(() => {
    let gone = false;
    setFailed(false);
    loadDetail(s.id, days, r.key).then((d) => !gone && setDetail(d), () => !gone && setFailed(true));
    return () => { gone = true; };
  }, [s.id, days, r.key, r.time, store.state?.session.staff]);
  useEffect(() => {
    if (!detail || !holder.current) return undefined;
    const node = holder.current;
    let chart: { destroy(): void } | undefined, gone = false;
    import('../chart').then((m) => {
      if (!gone) chart = m.draw(node, detail, setReadout);
    }, () => setFailed(true));
    return () => { gone = true; chart?.destroy(); };
  }, [detail, lang(), document.documentElement.dataset.theme]);
  const drawn = detail?.series.filter((x) => x.count > 0) ?? [];
  return (
    <section class="card">
      <h2>{w.chartOf(s.family === 'insect' ? w.catch : pick(r.name))}</h2>
      <div class="chips spans" role="group" aria-label={w.spanLabel}>
        {spans.map((d) => <button key={d} type="button" aria-pressed={d === days} onClick={() => setDays(d)}>{w.spanDays(d)}</button>)}
      </div>
      {failed && <p class="error" role="alert">{w.chartFailed}</p>}
      {!failed && !detail && <p class="loading">{w.loading}</p>}
      {detail && drawn.length === 0 && <p class="empty">{w.noReadings(detail.days)}</p>}
      <div class="chart" ref={holder} hidden={drawn.length === 0} role="img" aria-label={drawn.map((x) => summary(x, now)).join(' ')} />
      {drawn.length > 0 && <p class="readout" aria-hidden="true">{readout || w.touchChart}</p>}
      {drawn.length > 1 && <Legend drawn={drawn} />}
      {drawn.length === 1 && <p class="small">{summary(drawn[0]!, now)} {remarks(drawn[0]!)}</p>}
      {detail?.forecast && <ForecastPart f={detail.forecast} r={r} now={now} />}
      {detail && !detail.forecast && detail.forecast_for === 'staff' && <p class="small">{w.forecastStaff}</p>}
      {detail && drawn.length > 0 && (
        <div class="row wrap">
          <details class="table"><summary>{w.table}</summary><Table detail={detail} /></details>
          <a class="go" href={csvURL(s.id, days, r.key)} download>{w.csv}</a>
        </div>
      )}
    </section>
  );
}

function Legend({ drawn }: { drawn: ChartSeries[] }) {
  return (
    <ul class="legend">
      {drawn.map((x, i) => (
        <li key={x.key}><svg viewBox="0 0 34 8" width="34" height="8" aria-hidden="true"><path class={`ln${i % colours}`} d="M1 4h32" stroke-dasharray={dashes[i % dashes.length]!.join(' ')} /></svg>{pick(x.name)}</li>
      ))}
    </ul>
  );
}

function summary(x: ChartSeries, now: number): string {
  if (x.min === null || x.max === null) return '';
  if (x.metric === 'lightning_state') return t().highest(t().lightning[Math.round(x.max)] ?? '', when(x.max_t! * 1000, now));
  return t().chartSummary(withUnit(x.min, x.decimals, x.unit), when(x.min_t! * 1000, now), withUnit(x.max, x.decimals, x.unit), when(x.max_t! * 1000, now));
}

function remarks(x: ChartSeries): string {
  const w = t();
  return [x.gaps && w.gaps(x.gaps), x.suspects && w.suspects(x.suspects), x.failed && w.failedCount(x.failed)].filter(Boolean).join(' ');
}

function ForecastPart({ f, r, now }: { f: Forecast; r: Reading; now: number }) {
  const w = t();
  return (
    <div class="forecast">
      <h3>{f.authority ? w.forecastPublic : w.forecast}</h3>
      {f.authority && <p class="small">{w.issuedBy(f.authority)}</p>}
      {f.old && <p class="bad" role="status"><b>{w.forecastOld(span(now - f.issue))}</b></p>}
      <p class="small">{w.forecastMade(f.model, when(f.issue, now), ago(f.issue, now))} {f.fallback && w.forecastFallback}</p>
      {bands(f) && <p class="small">{w.forecastKey(bands(f))}</p>}
      {f.exceed.length > 0 && (
        <ul>
          {f.exceed.map((e) => (
            <li key={`${e.kind}${e.level}`}>{w.exceed(w.thresholdName(e.kind, e.level), withUnit(e.value, r.decimals, r.unit), percent(e.p_max), span(e.lead_s * 1000))}</li>
          ))}
        </ul>
      )}
    </div>
  );
}

// bands names the shaded ranges, the inner one first.
function bands(f: Forecast): string {
  const out: string[] = [];
  for (let lo = 0, hi = f.quantiles.length - 1; lo < hi; lo++, hi--) out.unshift(`${num((f.quantiles[hi]! - f.quantiles[lo]!) * 100, 0)} %`);
  return out.join(', ');
}

// percent avoids a certainty no model has.
function percent(p: number): string {
  if (p < 0.01) return '< 1 %';
  if (p > 0.99) return '> 99 %';
  return `${Math.round(p * 100)} %`;
}

// Table is the chart for those who cannot see it: newest first, at most 200
// lines; the file has them all.
function Table({ detail }: { detail: Detail }) {
  const w = t();
  const lines = useMemo(() => {
    const out: { at: number; cells: string[]; note: string }[] = [];
    const times = [...new Set(detail.series.flatMap((x) => x.t))].sort((a, b) => b - a).slice(0, 200);
    const maps = detail.series.map((x) => new Map(x.t.map((at, i) => [at, i])));
    for (const at of times) {
      let note = '';
      const cells = detail.series.map((x, k) => {
        const i = maps[k]!.get(at);
        if (i === undefined) return '';
        const v = x.v[i];
        if (v === null || v === undefined) {
          note = w.gap;
          return '';
        }
        if (x.suspect.includes(i)) note = w.suspect;
        return withUnit(v, x.decimals, x.unit);
      });
      out.push({ at: at * 1000, cells, note });
    }
    return out;
  }, [detail, lang()]);
  return (
    <div class="scroll" tabIndex={0}>
      <table>
        <thead><tr><th scope="col">{w.time}</th>{detail.series.map((x) => <th key={x.key} scope="col" class="r">{pick(x.name)}</th>)}<th scope="col">{w.note}</th></tr></thead>
        <tbody>{lines.map((l) => <tr key={l.at}><th scope="row">{full(l.at)}</th>{l.cells.map((c, i) => <td key={i} class="r num">{c}</td>)}<td>{l.note}</td></tr>)}</tbody>
      </table>
    </div>
  );
}

function Neighbours({ title, ids }: { title: string; ids: string[] }) {
  const list = ids.map((id) => store.state!.stations.find((x) => x.id === id)).filter((x) => x !== undefined);
  if (list.length === 0) return null;
  return <p class="row wrap"><span>{title}:</span>{list.map((x) => <a key={x.id} class="go" href={`#/station/${encodeURIComponent(x.id)}`}>{stationName(x)}</a>)}</p>;
}

function About({ s, r }: { s: Station; r: Reading | undefined }) {
  const w = t();
  const facts: [string, string | undefined][] = [
    [w.code, s.id], [w.river, s.river], [w.commune, s.commune], [w.district, s.district], [w.operator, s.operator],
    [w.place, s.lat !== undefined && s.lon !== undefined ? `${num(s.lat, 4)}; ${num(s.lon, 4)}` : undefined],
    [w.interval, r?.interval_s ? span(r.interval_s * 1000) : undefined],
  ];
  const legal = r?.levels?.some((l) => l.basis);
  return (
    <section class="card">
      {r?.levels && r.levels.length > 0 && (
        <>
          <h2>{w.levels}</h2>
          <table>
            <thead><tr><th scope="col">{w.level}</th><th scope="col" class="r">{w.value}</th>{legal && <th scope="col">{w.basis}</th>}</tr></thead>
            <tbody>{r.levels.map((l) => <tr key={`${l.kind}${l.level}`}><th scope="row">{pick(l.name)}</th><td class="r num">{withUnit(l.value, r.decimals, r.unit)}</td>{legal && <td>{l.basis || w.noBasis}</td>}</tr>)}</tbody>
          </table>
          {!legal && <p class="small">{w.noBasisAll}</p>}
        </>
      )}
      <h2>{w.about}</h2>
      <Neighbours title={w.upstream} ids={s.upstream ?? []} />
      <Neighbours title={w.downstream} ids={store.state!.stations.filter((x) => x.upstream?.includes(s.id)).map((x) => x.id)} />
      <dl>{facts.filter(([, v]) => v).map(([k, v]) => <div key={k}><dt>{k}</dt><dd>{v}</dd></div>)}</dl>
    </section>
  );
}


import { when } from '../format';
import { pick, t } from '../i18n';
import type { Shape, Warning } from '../model';
import { StateShape } from '../shapes';
import { now, store } from '../store';
import { Back } from './back';

function shape(w: Warning): Shape {
  return w.level > 0 ? (`level${Math.min(w.level, 3)}` as Shape) : 'suspect';
}

// worstFirst: what is measured before what is made up, then by level, the newest
// first.
function worstFirst(list: Warning[]): Warning[] {
  return [...list].sort((a, b) => Number(a.simulated) - Number(b.simulated) || b.level - a.level || b.onset_ms - a.onset_ms);
}

// Warnings stands above list and map, and leaves them room: a few are cards, of
// many the worst have a line each and the way to all of them.
export function Warnings({ list, few, open }: { list: Warning[]; few: number; open: boolean }) {
  const w = t();
  const many = list.length > few;
  const shown = worstFirst(list).slice(0, few);
  return (
    <section class="warnings" aria-label={w.warnings}>
      {list.length > 0 && <h2>{w.warnings} <span class="count">{list.length}</span></h2>}
      {list.length === 0 && <p class="calm"><StateShape shape="normal" size={20} /> {w.noWarnings}</p>}
      {shown.map((x, i) => <WarningCard key={x.id} w={x} line={many} open={open && !many && i === 0 && x.level >= 2} link />)}
      {many && <a class="go" href="#/warnings">{w.allWarnings(list.length)}</a>}
    </section>
  );
}

// StationWarnings are those of the station that is shown.
export function StationWarnings({ list }: { list: Warning[] }) {
  return (
    <section class="warnings" aria-label={t().warnings}>
      {worstFirst(list).map((x) => <WarningCard key={x.id} w={x} open />)}
    </section>
  );
}

// AllWarnings is the page of all of them, a line each.
export function AllWarnings({ wide }: { wide: boolean }) {
  const w = t();
  const list = worstFirst(store.state!.warnings);
  return (
    <section class="warnings all">
      <Back wide={wide} />
      <h1>{w.warnings} <span class="count">{list.length}</span></h1>
      {list.length === 0 && <p class="calm"><StateShape shape="normal" size={20} /> {w.noWarnings}</p>}
      {list.map((x) => <WarningCard key={x.id} w={x} line link />)}
    </section>
  );
}

function WarningCard({ w: x, line = false, open = false, link = false }: { w: Warning; line?: boolean; open?: boolean; link?: boolean }) {
  const w = t();
  return (
    <article class={`warning ${shape(x)}${line ? ' brief' : ''}`}>
      <details open={open}>
        {line ? (
          <summary>
            <StateShape shape={shape(x)} size={24} />
            <strong>{pick(x.station_name) || x.station}</strong>
            <small>{x.simulated && <span class="badge sim">{w.simulated}</span>}<span class="about">{gist(x)}<time> · {when(x.onset_ms, now())}</time></span></small>
          </summary>
        ) : (
          <summary>
            <StateShape shape={shape(x)} size={32} />
            <span class="what"><strong>{pick(x.headline)}</strong><Marks w={x} /></span>
          </summary>
        )}
        {line && <p><b>{pick(x.headline)}</b><br /><Marks w={x} /></p>}
        <p>{pick(x.detail)}</p>
        {pick(x.advice) && <p class="advice"><b>{w.advice}:</b> {pick(x.advice)}</p>}
        {x.authority && <p class="small">{w.issuedBy(x.authority)}</p>}
        {link && x.station && <p><a class="go" href={`#/station/${encodeURIComponent(x.station)}`}>{w.details}</a></p>}
      </details>
    </article>
  );
}

// gist is what a warning is about, in a word or two beside the station's name.
function gist(x: Warning): string {
  const w = t();
  if (x.rule === 'silence') return w.state.silent;
  const level = w.levelShort(x.kind, x.level);
  return x.rule === 'forecast' ? `${w.forecastPublic}: ${level}` : level;
}

function Marks({ w: x }: { w: Warning }) {
  const w = t();
  return (
    <small>
      {x.simulated && <span class="badge sim">{w.simulated}</span>}
      {x.audience === 'staff' && <span class="badge">{w.staffOnly}</span>}
      {w.since(when(x.onset_ms, now()))} · {w.updated(when(x.sent_ms, now()))}
    </small>
  );
}

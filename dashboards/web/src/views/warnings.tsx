import { when } from '../format';
import { pick, t } from '../i18n';
import type { Shape, Warning } from '../model';
import { StateShape } from '../shapes';
import { now } from '../store';

function shape(w: Warning): Shape {
  return w.level > 0 ? (`level${Math.min(w.level, 3)}` as Shape) : 'suspect';
}

export function Warnings({ list, heading, open = true }: { list: Warning[]; heading: boolean; open?: boolean }) {
  const w = t();
  return (
    <section class="warnings" aria-label={w.warnings}>
      {heading && list.length > 0 && <h2>{w.warnings} <span class="count">{list.length}</span></h2>}
      {heading && list.length === 0 && <p class="calm"><StateShape shape="normal" size={20} /> {w.noWarnings}</p>}
      {list.map((x, i) => <WarningCard key={x.id} w={x} open={open && (!heading || (i === 0 && x.level >= 2))} link={heading} />)}
    </section>
  );
}

function WarningCard({ w: x, open, link }: { w: Warning; open: boolean; link: boolean }) {
  const w = t();
  return (
    <article class={`warning ${shape(x)}`}>
      <details open={open}>
        <summary>
          <StateShape shape={shape(x)} size={32} />
          <span class="what">
            <strong>{pick(x.headline)}</strong>
            <small>
              {x.simulated && <span class="badge sim">{w.simulated}</span>}
              {x.audience === 'staff' && <span class="badge">{w.staffOnly}</span>}
              {w.since(when(x.onset_ms, now()))} · {w.updated(when(x.sent_ms, now()))}
            </small>
          </span>
        </summary>
        <p>{pick(x.detail)}</p>
        {pick(x.advice) && <p class="advice"><b>{w.advice}:</b> {pick(x.advice)}</p>}
        {x.authority && <p class="small">{w.issuedBy(x.authority)}</p>}
        {link && x.station && <p><a class="go" href={`#/station/${encodeURIComponent(x.station)}`}>{w.details}</a></p>}
      </details>
    </article>
  );
}

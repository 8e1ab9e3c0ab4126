// Draws a station's series with uPlot: levels as labelled lines, gaps as
// gaps, doubtful readings as hollow diamonds, a forecast as bands.

import uPlot from 'uplot';
import { clock, dayMonth, full, isMidnight, num, withUnit } from './format';
import { pick, t } from './i18n';
import { colours, dashes } from './lines';
import type { ChartSeries, Detail, Forecast, Level } from './model';


const day = 86_400;

function css(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

export function draw(node: HTMLElement, d: Detail, say: (text: string) => void): { destroy(): void } {
  const drawn = d.series.filter((s) => s.count > 0);
  if (drawn.length === 0) return { destroy() {} };
  const f = d.forecast;
  const tables: uPlot.AlignedData[] = drawn.map((s) => [s.t, s.v]);
  if (f) tables.push([f.t, ...f.v] as uPlot.AlignedData);
  const data = tables.length > 1 ? uPlot.join(tables) : tables[0]!;
  const levels = drawn.length === 1 ? d.levels : [];
  const nightly = drawn[0]!.metric === 'insect_catch';
  const opts: uPlot.Options = {
    width: node.clientWidth || 320, height: height(node),
    tzDate: (ts) => new Date((ts + 7 * 3600) * 1000 + new Date().getTimezoneOffset() * 60_000),
    padding: [12, 18, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 8 }, focus: { prox: 24 } },
    scales: {
      x: { time: true, range: () => [d.from / 1000, Math.max(d.to / 1000, Math.min(f?.t[f.t.length - 1] ?? 0, d.to / 1000 + d.days * day))] },
      y: { range: (_u, lo, hi) => yRange(lo, hi, levels, drawn[0]!) },
    },
    axes: [
      { stroke: css('--muted'), grid: { stroke: css('--grid'), width: 1 }, ticks: { show: false }, size: 30, space: 56, font: font(12), values: (_u, at) => at.map((x) => tick(x, d.days)) },
      { stroke: css('--muted'), grid: { stroke: css('--grid'), width: 1 }, ticks: { show: false }, size: code(drawn[0]!) ? 70 : 52, font: font(12), values: (_u, at) => yTicks(at, drawn[0]!) },
    ],
    series: [{}, ...drawn.map((s, i) => line(s, i, nightly)), ...(f ? f.quantiles.map((q) => quantile(q)) : [])],
    bands: f ? bands(f, drawn.length) : [],
    hooks: {
      draw: [(u) => {
        drawLevels(u, levels);
        drawNow(u, d.to / 1000, f !== null);
        drawn.forEach((s) => drawSuspects(u, s));
      }],
      setCursor: [(u) => say(readout(u, drawn, f))],
    },
  };
  node.replaceChildren();
  const u = new uPlot(opts, data, node);
  const fit = new ResizeObserver(() => u.setSize({ width: node.clientWidth, height: height(node) }));
  fit.observe(node);
  return { destroy: () => { fit.disconnect(); u.destroy(); } };
}

function font(px: number): string {
  return `${px}px system-ui, sans-serif`;
}

function height(node: HTMLElement): number {
  return Math.round(Math.min(360, Math.max(220, (node.clientWidth || 320) * 0.62)));
}

// yRange leaves room, and shows the next level above when it is not so far
// that the curve would become a line.
function yRange(lo: number, hi: number, levels: Level[], s: ChartSeries): [number, number] {
  if (lo === null || hi === null || !Number.isFinite(lo)) return [0, 1];
  if (code(s)) return [-0.2, 3.2];
  const least = s.unit === 'm' ? 0.2 : Math.max(Math.abs(hi) * 0.05, 10 ** -s.decimals * 4);
  const size = Math.max(hi - lo, least);
  const next = levels.find((l) => l.value > hi);
  if (next && next.value - hi < 2.5 * size) hi = next.value;
  const room = Math.max(hi - lo, least) * 0.1;
  const floor = lo >= 0 && (s.metric === 'insect_catch' || s.metric.startsWith('rainfall')) ? 0 : lo - room;
  return [floor, hi + room];
}

function tick(x: number, days: number): string {
  const ms = x * 1000;
  return days > 5 || isMidnight(ms) ? dayMonth(ms) : clock(ms);
}

function yTicks(at: number[], s: ChartSeries): string[] {
  if (code(s)) return at.map((v) => t().lightningShort[v] ?? '');
  let decimals = 0;
  while (decimals < 4 && at.some((v) => Math.abs(v * 10 ** decimals - Math.round(v * 10 ** decimals)) > 1e-6)) decimals++;
  return at.map((v, i) => num(v, decimals) + (i === at.length - 1 && s.unit.length < 4 ? ` ${s.unit}` : ''));
}

function code(s: ChartSeries): boolean {
  return s.metric === 'lightning_state';
}

function line(s: ChartSeries, i: number, nightly: boolean): uPlot.Series {
  const out: uPlot.Series = {
    label: pick(s.name), stroke: css(`--line${i % colours}`), width: 2, dash: dashes[i % dashes.length], spanGaps: false, points: { show: s.count <= 60, size: 6 },
  };
  if (s.metric.startsWith('rainfall')) return { ...out, paths: uPlot.paths.bars!({ size: [0.7, 24] }), fill: css('--line0'), points: { show: false } };
  if (code(s)) return { ...out, paths: uPlot.paths.stepped!({ align: 1 }), points: { show: false } };
  if (nightly) return { ...out, points: { show: true, size: 6 } };
  return out;
}

function quantile(q: number): uPlot.Series {
  const mid = Math.abs(q - 0.5) < 1e-6;
  return { label: `${q * 100} %`, stroke: css('--forecast'), width: mid ? 2 : 0, dash: mid ? [5, 4] : undefined, points: { show: false }, spanGaps: true };
}

// bands pairs quantiles from the outside in; the inner ones are darker.
function bands(f: Forecast, before: number): uPlot.Band[] {
  const out: uPlot.Band[] = [];
  for (let lo = 0, hi = f.quantiles.length - 1; lo < hi; lo++, hi--) {
    out.push({ series: [1 + before + hi, 1 + before + lo], fill: css('--band') });
  }
  return out;
}

function drawLevels(u: uPlot, levels: Level[]): void {
  const { ctx, bbox } = u;
  const px = devicePixelRatio;
  ctx.save();
  for (const l of levels) {
    const y = Math.round(u.valToPos(l.value, 'y', true));
    if (y < bbox.top || y > bbox.top + bbox.height) continue;
    ctx.strokeStyle = css(`--level${Math.min(l.level, 3)}-line`);
    ctx.lineWidth = 2 * px;
    ctx.setLineDash([9 * px, 4 * px]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    const text = `${t().thresholdName(l.kind, l.level)} ${num(l.value, 2)}`;
    ctx.font = `600 ${12 * px}px system-ui, sans-serif`;
    const w = ctx.measureText(text).width;
    ctx.fillStyle = css('--card');
    ctx.globalAlpha = 0.85;
    ctx.fillRect(bbox.left + 4 * px, y - 17 * px, w + 6 * px, 15 * px);
    ctx.globalAlpha = 1;
    ctx.fillStyle = css('--ink');
    ctx.textBaseline = 'bottom';
    ctx.textAlign = 'left';
    ctx.fillText(text, bbox.left + 7 * px, y - 2 * px);
  }
  ctx.restore();
}

// drawNow parts what was measured from what is forecast.
function drawNow(u: uPlot, at: number, show: boolean): void {
  if (!show) return;
  const { ctx, bbox } = u;
  const x = Math.round(u.valToPos(at, 'x', true));
  ctx.save();
  ctx.strokeStyle = css('--muted');
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.restore();
}

function drawSuspects(u: uPlot, s: ChartSeries): void {
  const { ctx, bbox } = u;
  const r = 5 * devicePixelRatio;
  ctx.save();
  ctx.strokeStyle = css('--suspect');
  ctx.fillStyle = css('--card');
  ctx.lineWidth = 2 * devicePixelRatio;
  for (const i of s.suspect) {
    const v = s.v[i];
    if (v === null || v === undefined) continue;
    const x = u.valToPos(s.t[i]!, 'x', true);
    const y = u.valToPos(v, 'y', true);
    if (y < bbox.top - r || y > bbox.top + bbox.height + r) continue;
    ctx.beginPath();
    ctx.moveTo(x, y - r);
    ctx.lineTo(x + r, y);
    ctx.lineTo(x, y + r);
    ctx.lineTo(x - r, y);
    ctx.closePath();
    ctx.fill();
    ctx.stroke();
  }
  ctx.restore();
}

function readout(u: uPlot, drawn: ChartSeries[], f: Forecast | null): string {
  const i = u.cursor.idx;
  if (i === null || i === undefined) return '';
  const at = u.data[0][i]!;
  const parts = drawn.flatMap((s, k) => {
    const v = u.data[k + 1]![i];
    if (v === null || v === undefined) return [];
    const doubt = s.suspect.some((j) => s.t[j] === at) ? ` (${t().suspect})` : '';
    if (code(s)) return [t().lightning[Math.round(v)] ?? ''];
    return [`${drawn.length > 1 ? pick(s.name) + ' ' : ''}${withUnit(v, s.decimals, s.unit)}${doubt}`];
  });
  if (f && at > f.issue / 1000) {
    const q = f.quantiles.map((_, k) => u.data[1 + drawn.length + k]![i]);
    const mid = q[f.quantiles.findIndex((x) => Math.abs(x - 0.5) < 1e-6)];
    const s = drawn[0]!;
    if (mid !== null && mid !== undefined) parts.push(`${t().forecastPublic} ${withUnit(mid, s.decimals, s.unit)}`);
    const [lo, hi] = [q[0], q[q.length - 1]];
    if (lo !== null && lo !== undefined && hi !== null && hi !== undefined && q.length > 1) {
      const share = num((f.quantiles[q.length - 1]! - f.quantiles[0]!) * 100, 0);
      parts.push(`${t().forecastBand(share)}: ${num(lo, s.decimals)}–${withUnit(hi, s.decimals, s.unit)}`);
    }
  }
  if (parts.length === 0) return '';
  return `${full(at * 1000)} · ${parts.join(' · ')}`;
}


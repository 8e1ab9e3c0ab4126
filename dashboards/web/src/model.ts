// What the server sends (see view.go, summary.go, detail.go) and the few
// conclusions the page draws itself because they change while it is offline.

export interface Text { vi: string; en: string }
export type Status = 'ok' | 'suspect' | 'failed' | 'silent' | 'none';
export type Family = 'gauge' | 'rain' | 'lightning' | 'water' | 'insect' | 'field';
export type Kind = 'bao_dong' | 'theo_doi' | '';

export interface Trend { dir: 'rising' | 'falling' | 'steady'; per_hour: number; window_s: number; day_change?: number }
export interface Level { level: number; kind: Kind; value: number; basis?: string; name: Text }

export interface Reading {
  key: string; metric: string; sensor?: string; species?: string; name: Text; unit: string; decimals: number;
  time?: number; value: number | null; status: Status; since?: number; interval_s?: number; stale_at?: number;
  trend?: Trend; level: number; kind?: Kind; levels?: Level[];
}

export interface Catch {
  species: string; name: Text; role: 'pest' | 'enemy' | 'other'; count: number; before: number | null; status: Status; time?: number;
}

export interface Station {
  id: string; name: string; name_en?: string; family: Family; lat?: number; lon?: number; river?: string; commune?: string;
  district?: string; operator?: string; upstream?: string[]; simulated?: boolean; status: Status; level: number; kind?: Kind; has_levels?: boolean;
  main: number; readings: Reading[]; night?: { date: string; catches: Catch[] }; rain_day?: { value: number; unit: string; decimals: number };
}

export interface Warning {
  id: string; revision: number; state: string; rule: string; audience: string; station: string; level: number; value: number;
  kind?: Kind; station_name: Text; unit?: string; valid_time_ms: number; onset_ms: number; sent_ms: number; authority?: string; simulated: boolean;
  headline: Text; detail: Text; advice: Text;
}

export interface Session { name: string; role: string; staff: boolean }
export interface Config { title: Text; sign_in: boolean; open_data: boolean; forecast_old_s: number }

export interface State {
  config: Config; session: Session; version: string; trouble: { since: number } | null; warnings: Warning[]; stations: Station[];
}

export interface ChartSeries {
  key: string; metric: string; sensor?: string; species?: string; name: Text; unit: string; decimals: number;
  t: number[]; v: (number | null)[]; suspect: number[]; count: number; suspects: number; failed: number; gaps: number; thinned: boolean;
  min: number | null; max: number | null; min_t?: number; max_t?: number;
}

export interface Forecast {
  model: string; issue: number; old: boolean; authority?: string; quantiles: number[]; t: number[]; v: (number | null)[][];
  exceed: { level: number; kind: Kind; value: number; p_max: number; lead_s: number }[]; fallback?: string;
}

export interface Detail {
  station: Station; days: number; from: number; to: number; series: ChartSeries[]; levels: Level[]; forecast: Forecast | null;
  forecast_for: '' | 'staff' | 'public';
}

export const families: Family[] = ['gauge', 'rain', 'lightning', 'water', 'insect', 'field'];

export function mainReading(s: Station): Reading | undefined {
  return s.readings[s.main];
}

// statusAt is the status of a reading at a later time: it falls silent by the
// passing of time alone, also while the page is offline.
export function statusAt(r: Reading, now: number): Status {
  if ((r.status === 'ok' || r.status === 'suspect') && r.stale_at && now > r.stale_at) return 'silent';
  return r.status;
}

export function stationStatus(s: Station, now: number): Status {
  const r = mainReading(s);
  return r ? statusAt(r, now) : s.status;
}

// Shape is how a state is drawn: by form first, colour second.
export type Shape = 'normal' | 'level1' | 'level2' | 'level3' | 'silent' | 'failed' | 'suspect' | 'plain';

export function shapeOf(s: Station, now: number): Shape {
  const st = stationStatus(s, now);
  if (st === 'silent' || st === 'none') return 'silent';
  if (st === 'failed') return 'failed';
  if (s.level > 0) return `level${Math.min(s.level, 3)}` as Shape;
  if (st === 'suspect') return 'suspect';
  return s.has_levels || s.family === 'lightning' ? 'normal' : 'plain';
}

// rank orders stations by how much they want to be looked at.
export function rank(s: Station, now: number): number {
  const shape = shapeOf(s, now);
  const base: Record<Shape, number> = { level3: 0, level2: 1, level1: 2, failed: 3, silent: 4, suspect: 5, normal: 6, plain: 7 };
  return base[shape] * 10 + families.indexOf(s.family);
}

// fold makes text comparable: without marks, lower case.
export function fold(s: string): string {
  return s.normalize('NFD').replace(/[\u0300-\u036f]/g, '').replace(/[đĐ]/g, 'd').toLowerCase();
}

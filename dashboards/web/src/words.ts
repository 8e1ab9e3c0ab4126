// Sentences made of a reading: its state, value, trend and what is wrong.

import { ago, night, span, when, withUnit } from './format';
import { pick, t } from './i18n';
import { mainReading, shapeOf, stationStatus, statusAt, type Reading, type Station } from './model';

export function stationName(s: Station): string {
  return pick({ vi: s.name, en: s.name_en ?? '' }) || s.id;
}

export function stateWord(s: Station, now: number): string {
  const w = t();
  const shape = shapeOf(s, now);
  if (shape === 'silent') return stationStatus(s, now) === 'none' ? w.state.none : w.state.silent;
  if (shape === 'failed' || shape === 'suspect') return w.state[shape];
  if (s.family === 'lightning') return w.lightning[s.level] ?? w.lightning[0]!;
  if (s.level > 0) return w.above(w.thresholdName(s.kind ?? '', s.level));
  return shape === 'normal' ? w.state.normal : w.state.plain;
}

// distance is the practice of Vietnamese bulletins: how far above the level
// reached, or how far below the next one.
export function distance(r: Reading): string {
  const levels = r.levels ?? [];
  if (r.value === null || levels.length === 0) return '';
  const v = r.value;
  const passed = [...levels].reverse().find((l) => v >= l.value);
  const l = passed ?? levels[0]!;
  return (passed ? t().over : t().under)(t().thresholdName(l.kind, l.level), withUnit(Math.abs(v - l.value), r.decimals, r.unit));
}

// stateLine is the state in one line: the practice of bulletins where a level
// is passed, else the state's word and how far the next level is.
export function stateLine(s: Station, now: number): string {
  const word = stateWord(s, now);
  const r = mainReading(s);
  const shape = shapeOf(s, now);
  if (!r || isCode(r) || !(shape === 'normal' || shape.startsWith('level'))) return word;
  const d = distance(r);
  const passed = (r.levels ?? []).filter((l) => r.value !== null && r.value >= l.value).pop();
  if (s.level > 0 && passed?.level === s.level) return d.charAt(0).toUpperCase() + d.slice(1);
  return d ? `${word}, ${d}` : word;
}

export function isCode(r: Reading): boolean {
  return r.metric === 'lightning_state';
}

// valueText is the value in words where it is a code, else with its unit.
export function valueText(r: Reading): string {
  if (r.value === null) return '—';
  if (isCode(r)) return t().lightning[Math.min(3, Math.max(0, Math.round(r.value)))]!;
  return withUnit(r.value, r.decimals, r.unit);
}

export function rate(r: Reading): string {
  if (!r.trend) return '';
  // Stage moves by centimetres an hour.
  if (r.unit === 'm') return withUnit(r.trend.per_hour * 100, 0, 'cm', true);
  return withUnit(r.trend.per_hour, r.decimals, r.unit, true);
}

export function dayChange(r: Reading): string {
  const d = r.trend?.day_change;
  if (d === undefined) return '';
  return t().dayChange(r.unit === 'm' ? withUnit(d * 100, 0, 'cm', true) : withUnit(d, r.decimals, r.unit, true));
}

export function trendWindow(r: Reading): string {
  return r.trend ? span(r.trend.window_s * 1000) : '';
}

// trouble says in full what is wrong with a reading, '' where nothing is.
export function troubleText(r: Reading | undefined, now: number): string {
  const w = t();
  if (!r) return w.neverText;
  switch (statusAt(r, now)) {
    case 'none': return w.neverText;
    case 'silent': return r.time ? w.silentFor(span(now - r.time)) : w.neverText;
    case 'failed': return (r.value === null ? w.failedNever : w.failedSince)(when(r.since ?? now, now));
    case 'suspect': return w.suspectText;
    default: return '';
  }
}

export function ageText(s: Station, now: number): string {
  const r = mainReading(s);
  if (!r?.time) return t().state.none;
  if (s.family === 'insect' && s.night) return t().night(night(s.night.date));
  return ago(r.time, now);
}

export function clockText(r: Reading, now: number): string {
  return r.time ? when(r.time, now) : '';
}


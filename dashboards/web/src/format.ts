// Numbers, times and ages as they are written here: decimal comma in
// Vietnamese, times at +07:00 whatever the phone's own zone.

import { lang, t } from './i18n';

const formats = new Map<string, Intl.NumberFormat>();

export function num(v: number, decimals: number, sign = false): string {
  const key = `${lang()} ${decimals} ${sign}`;
  let f = formats.get(key);
  if (!f) {
    f = new Intl.NumberFormat(lang() === 'vi' ? 'vi-VN' : 'en-GB', {
      minimumFractionDigits: decimals, maximumFractionDigits: decimals, signDisplay: sign ? 'exceptZero' : 'auto',
    });
    formats.set(key, f);
  }
  return f.format(v).replace('-', '−');
}

// withUnit always writes the unit; a narrow no-break space keeps them together.
export function withUnit(v: number, decimals: number, unit: string, sign = false): string {
  return unit ? `${num(v, decimals, sign)}\u00a0${unit}` : num(v, decimals, sign);
}

function local(ms: number): Date {
  return new Date(ms + 7 * 3600_000); // read with the UTC getters
}

const two = (n: number) => String(n).padStart(2, '0');

export function clock(ms: number): string {
  const d = local(ms);
  return `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}`;
}

export function dayMonth(ms: number): string {
  const d = local(ms);
  return `${two(d.getUTCDate())}/${two(d.getUTCMonth() + 1)}`;
}

export function isMidnight(ms: number): boolean {
  const d = local(ms);
  return d.getUTCHours() === 0 && d.getUTCMinutes() === 0;
}

// when is the clock time, with the day where it is not today.
export function when(ms: number, now: number): string {
  const sameDay = dayMonth(ms) === dayMonth(now) && Math.abs(now - ms) < 36 * 3600_000;
  if (sameDay) return clock(ms);
  const far = local(ms).getUTCFullYear() !== local(now).getUTCFullYear();
  return `${clock(ms)} ${dayMonth(ms)}${far ? '/' + local(ms).getUTCFullYear() : ''}`;
}

export function full(ms: number): string {
  return `${clock(ms)} ${dayMonth(ms)}/${local(ms).getUTCFullYear()}`;
}

// night writes the date of a trap's evening, given as 2026-03-14.
export function night(date: string): string {
  const [y, m, d] = date.split('-');
  return `${d}/${m}/${y}`;
}

export function span(ms: number): string {
  const min = Math.floor(ms / 60_000);
  if (min < 60) return t().minutes(min);
  const h = Math.floor(min / 60);
  if (h < 24) return min % 60 && h < 6 ? t().hoursMinutes(h, min % 60) : t().hours(h);
  return t().days(Math.floor(h / 24));
}

export function ago(ms: number, now: number): string {
  const d = now - ms;
  return d < 60_000 ? t().justNow : t().ago(span(d));
}

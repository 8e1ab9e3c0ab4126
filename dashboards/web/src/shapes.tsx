// States as shapes: each level has its own form and sign, so that colour is
// never the only one.

import type { JSX } from 'preact';
import type { Family, Shape } from './model';

const forms: Record<Shape, JSX.Element> = {
  normal: <><circle cx="12" cy="12" r="9.5" /><path class="sign" d="M7.5 12.3l3 3 6-6.4" /></>,
  plain: <><circle cx="12" cy="12" r="9.5" /><circle class="dot" cx="12" cy="12" r="3" /></>,
  level1: <><path d="M12 1.8L23 21.5H1z" /><path class="sign" d="M12 9.5v8" /></>,
  level2: <><path d="M12 .8L23.2 12 12 23.2.8 12z" /><path class="sign" d="M9.6 8v8M14.4 8v8" /></>,
  level3: <><path d="M7.4 1h9.2L23 7.4v9.2L16.6 23H7.4L1 16.6V7.4z" /><path class="sign" d="M7.6 7v10M12 7v10M16.4 7v10" /></>,
  silent: <><circle class="dash" cx="12" cy="12" r="9.5" /><path class="sign" d="M9.3 9.6a2.8 2.8 0 1 1 3.9 2.6c-.8.4-1.2.9-1.2 1.7M12 17.2v.1" /></>,
  failed: <><rect x="2.5" y="2.5" width="19" height="19" rx="2" /><path class="sign" d="M8 8l8 8M16 8l-8 8" /></>,
  suspect: <><path d="M12 2l9 5.2v9.6L12 22l-9-5.2V7.2z" /><path class="sign" d="M12 7v6.4M12 16.9v.1" /></>,
};

export function StateShape({ shape, size = 28 }: { shape: Shape; size?: number }) {
  return <svg class={`shape ${shape}`} viewBox="0 0 24 24" width={size} height={size} aria-hidden="true" focusable="false">{forms[shape]}</svg>;
}

// What a station watches, as a small sign.
const signs: Record<Family, string> = {
  gauge: 'M2 9c2-2 4-2 6 0s4 2 6 0 4-2 6 0M2 15c2-2 4-2 6 0s4 2 6 0 4-2 6 0',
  rain: 'M11 2c3.500 4.500 6 7.500 6 11a6 6 0 0 1-12 0c0-3.500 2.500-6.500 6-11z',
  lightning: 'M12.500 1.500L5 12.500h5L8.500 20.500 17 9h-5.500z',
  water: 'M8 2h6M9 2v6.500L4.500 18.500h13L13 8.500V2M6.500 14h9',
  insect: 'M11 6.500a4 4 0 0 1 4 4v4a4 4 0 0 1-8 0v-4a4 4 0 0 1 4-4zM8.500 6L6.500 3M13.500 6l2-3M7 11H2.500M15 11h4.500M7 15l-4 2.500M15 15l4 2.500M11 7v11',
  field: 'M11 20V9M11 13C6.500 13 4 10.500 4 6c4.500 0 7 2.500 7 7zM11 10c0-4.500 2.500-7 7-7 0 4.500-2.500 7-7 7z',
};

export function FamilySign({ family, size = 18 }: { family: Family; size?: number }) {
  return <svg class={`sign-of ${family}`} viewBox="0 0 22 22" width={size} height={size} aria-hidden="true" focusable="false"><path d={signs[family] ?? signs.field} /></svg>;
}

const arrows = {
  rising: 'M12 20V5M5.5 11.5L12 5l6.5 6.5',
  falling: 'M12 4v15M5.5 12.5L12 19l6.5-6.5',
  steady: 'M4 12h15M12.500 5.500L19 12l-6.500 6.500',
};

export function Arrow({ dir }: { dir: keyof typeof arrows }) {
  return <svg class={`arrow ${dir}`} viewBox="0 0 24 24" width="18" height="18" aria-hidden="true" focusable="false"><path d={arrows[dir]} /></svg>;
}

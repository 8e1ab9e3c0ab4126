// Light or dark: as the device says, or as chosen here and remembered.

export type Theme = 'auto' | 'light' | 'dark';

const system = window.matchMedia('(prefers-color-scheme: dark)');

export function theme(): Theme {
  try {
    const v = localStorage.getItem('theme');
    return v === 'light' || v === 'dark' ? v : 'auto';
  } catch {
    return 'auto';
  }
}

export function applyTheme(v: Theme): void {
  try { localStorage.setItem('theme', v); } catch { /* forgotten at the next visit */ }
  const dark = v === 'dark' || (v === 'auto' && system.matches);
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
  document.querySelector('meta[name=theme-color]')?.setAttribute('content', dark ? '#0b1217' : '#0b4f7d');
}

system.addEventListener('change', () => applyTheme(theme()));

import { t } from '../i18n';

export function Back({ wide }: { wide: boolean }) {
  return <a class="back" href="#/"><svg viewBox="0 0 24 24" width="20" height="20" aria-hidden="true"><path d="M14.500 5l-7 7 7 7" /></svg>{wide ? t().backMap : t().back}</a>;
}

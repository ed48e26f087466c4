/**
 * Light, dark, or as the system says. Chosen before the page is drawn, so that nobody who lives in the dark
 * is met by a flash of white.
 */
import { recall, remember } from '../model/browser-storage.ts';
import { part } from './element.ts';

const CHOICES = ['auto', 'light', 'dark'] as const;
type Choice = (typeof CHOICES)[number];

const systemIsDark = matchMedia('(prefers-color-scheme: dark)');
const STORED = 'theme';
const ICONS: Record<Choice, string> = { auto: 'auto', light: 'sun', dark: 'moon' };
const SPOKEN: Record<Choice, string> = { auto: 'as the system', light: 'light', dark: 'dark' };

/** Before there is a body. */
export function applyTheme(): void {
  paint();
  systemIsDark.addEventListener('change', paint);
}

function paint(): void {
  const choice = chosen();
  const dark = choice === 'dark' || (choice === 'auto' && systemIsDark.matches);
  document.documentElement.dataset['theme'] = dark ? 'dark' : 'light';
}

export function themeButton(): void {
  const button = part('theme');
  const show = () => {
    const choice = chosen();
    part('theme-icon').setAttribute('href', `#i-${ICONS[choice]}`);
    button.setAttribute('aria-label', `Colours: ${SPOKEN[choice]}. Change`);
    button.title = `Colours: ${SPOKEN[choice]}`;
  };
  button.addEventListener('click', () => {
    remember(STORED, CHOICES[(CHOICES.indexOf(chosen()) + 1) % CHOICES.length]);
    paint();
    show();
  });
  show();
}

function chosen(): Choice {
  const kept = recall(STORED);
  return CHOICES.find((choice) => choice === kept) ?? 'auto';
}

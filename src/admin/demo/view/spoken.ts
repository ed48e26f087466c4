/** What is said to a screen reader, and what is shown for a moment to everybody. */
import { part, setText } from './element.ts';

const TOAST_MS = 4000;
let hiding: number | undefined;

/** Politely, after what is being read. The same text twice in a row is said once. */
export function speak(text: string): void {
  setText(part('spoken'), text);
}

/** Shown briefly; its element is a live region of its own. */
export function toast(text: string): void {
  const element = part('toast');
  setText(element, text);
  element.classList.add('shown');
  clearTimeout(hiding);
  hiding = setTimeout(() => {
    element.classList.remove('shown');
    setText(element, '');
  }, TOAST_MS);
}

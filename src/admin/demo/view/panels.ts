/**
 * The two panels beside the conversation. Where the window has no column for one, it slides over the page
 * and behaves like a dialog: focus goes in and comes back, Escape and a tap beside it close it, and what
 * lies behind cannot be reached meanwhile. Closed, it cannot be reached either.
 */
import { part } from './element.ts';

interface PanelParts {
  readonly panel: string;
  readonly opens: readonly string[];
  readonly close: string;
  /** While this matches, the panel has no column of its own. */
  readonly covers: string;
}

const PANELS: readonly PanelParts[] = [
  { panel: 'panel-rooms', opens: ['rooms-open'], close: 'rooms-close', covers: '(max-width: 759px)' },
  {
    panel: 'panel-people',
    opens: ['people-open', 'badge'],
    close: 'people-close',
    covers: '(max-width: 1099px)',
  },
];

class Panel {
  readonly element: HTMLElement;
  readonly covers: MediaQueryList;
  readonly #parts: PanelParts;
  #opener: HTMLElement | undefined;

  constructor(parts: PanelParts, changed: () => void) {
    this.#parts = parts;
    this.element = part(parts.panel);
    this.covers = matchMedia(parts.covers);
    this.covers.addEventListener('change', () => {
      this.#opener = undefined;
      changed();
    });
    for (const id of parts.opens) {
      part(id).addEventListener('click', () => {
        if (!this.covers.matches) return part('link').scrollIntoView({ block: 'nearest' });
        this.#opener = part(id);
        changed();
        part(parts.close).focus();
      });
    }
    part(parts.close).addEventListener('click', () => this.close(changed));
  }

  get open(): boolean {
    return this.#opener !== undefined;
  }

  close(changed: () => void): void {
    const opener = this.#opener;
    if (!opener) return;
    this.#opener = undefined;
    changed();
    opener.focus();
  }

  show(): void {
    this.element.classList.toggle('open', this.open);
    this.element.inert = this.covers.matches && !this.open;
    for (const id of this.#parts.opens)
      part(id).setAttribute('aria-expanded', String(this.open || !this.covers.matches));
  }
}

/** Returns what closes whichever is open. */
export function startPanels(): () => void {
  const changed = () => {
    for (const panel of panels) panel.show();
    const covered = panels.some(({ open }) => open);
    part('stage').inert = covered;
    part('backdrop').hidden = !covered;
    // A column that is visible beside an open panel is behind it too.
    for (const panel of panels) if (covered && !panel.open) panel.element.inert = true;
  };
  const panels = PANELS.map((parts) => new Panel(parts, changed));
  const closeAll = () => {
    for (const panel of panels) panel.close(changed);
  };
  part('backdrop').addEventListener('click', closeAll);
  addEventListener('keydown', (event) => {
    if (event.key === 'Escape') closeAll();
  });
  changed();
  return closeAll;
}

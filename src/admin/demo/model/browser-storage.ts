/**
 * What this browser remembers between visits, as JSON under one prefix. Private windows and full disks
 * refuse to keep anything: the page works all the same and remembers until it is closed.
 */
const PREFIX = 'roomcast.demo.';

/** Undefined where nothing is kept, or something that is not JSON. */
export function recall(name: string): unknown {
  try {
    return JSON.parse(localStorage.getItem(PREFIX + name) ?? 'null') ?? undefined;
  } catch {
    // Refused or spoilt: the same as nothing remembered.
    return undefined;
  }
}

export function remember(name: string, value: unknown): void {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // Refused: it lives as long as the page, which is all that is lost.
  }
}

/** Calls back when another tab of this browser remembers something else under the name. */
export function whenRememberedElsewhere(name: string, listener: () => void): void {
  addEventListener('storage', (event) => {
    if (event.key === PREFIX + name) listener();
  });
}

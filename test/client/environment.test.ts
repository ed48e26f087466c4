/** What the SDK takes from the world around it: a clock that counts sleep, and the events of coming back. */
import { expect, onTestFinished, test, vi } from 'vitest';
import { now, onWake } from '../../src/client/environment.ts';

test('time includes a sleep of the machine, which only the wall clock knows of, and never goes back', () => {
  const wall = vi.spyOn(Date, 'now');
  onTestFinished(() => wall.mockRestore());
  const at = 2_000_000_000_000;
  wall.mockReturnValue(at);
  const before = now();
  wall.mockReturnValue(at + 600_000);
  expect(now() - before).toBe(600_000);
  wall.mockReturnValue(at - 3_600_000);
  expect(now() - before).toBe(600_000);
  wall.mockReturnValue(at - 3_600_000 + 5);
  expect(now() - before).toBe(600_005);
});

test('the network, the page and its visibility wake it; a page that is being hidden does not', () => {
  const page = new EventTarget();
  const document = Object.assign(new EventTarget(), { hidden: false });
  vi.stubGlobal('document', document);
  vi.stubGlobal('addEventListener', page.addEventListener.bind(page));
  onTestFinished(() => void vi.unstubAllGlobals());
  let woken = 0;
  const end = onWake(() => {
    woken += 1;
  });
  const counts = (): number[] => [
    ...['online', 'pageshow'].map((type) => {
      page.dispatchEvent(new Event(type));
      return woken;
    }),
    (document.dispatchEvent(new Event('visibilitychange')), woken),
  ];
  expect(counts()).toEqual([1, 2, 3]);
  document.hidden = true;
  // The network may come back behind a hidden page, too.
  expect(counts()).toEqual([4, 5, 5]);
  document.hidden = false;
  end();
  expect(counts()).toEqual([5, 5, 5]);
});

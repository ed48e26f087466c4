/**
 * What can be computed about a page for people who do not see it, or do not see it well: which controls have
 * no name, and which text is too pale for its ground. These functions run inside the page, so each of them
 * is whole in itself.
 */

/** Controls that can be reached and that a screen reader could not name, as their markup. */
export function namelessControls(): string[] {
  const named = (element: Element): boolean => {
    const label = element.getAttribute('aria-label') ?? '';
    const by = (element.getAttribute('aria-labelledby') ?? '').split(' ');
    const labels = [
      ...by.map((id) => document.getElementById(id)),
      ...((element as HTMLInputElement).labels ?? []),
    ];
    const content = ['INPUT', 'TEXTAREA'].includes(element.tagName) ? '' : (element.textContent ?? '');
    const texts = [label, content, ...labels.map((part) => part?.textContent ?? '')];
    return texts.some((text) => text.trim() !== '');
  };
  return [...document.querySelectorAll('a[href], button, input, textarea, select, [tabindex]')]
    .filter((element) => element.checkVisibility({ visibilityProperty: true }) && !named(element))
    .map((element) => element.outerHTML.slice(0, 200));
}

/** Buttons and fields smaller than a fingertip (24 px, WCAG 2.2 target size), as their markup. */
export function smallTargets(): string[] {
  return [...document.querySelectorAll('a[href], button, input, textarea')]
    .filter(
      (element) =>
        element.checkVisibility({ visibilityProperty: true }) && !element.classList.contains('skip'),
    )
    .filter((element) => {
      const { width, height } = element.getBoundingClientRect();
      return width < 24 || height < 24;
    })
    .map((element) => element.outerHTML.slice(0, 200));
}

/** Texts whose contrast with what lies behind them is under 4.5:1 (3:1 where they are large), with the ratio. */
export function paleTexts(): string[] {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 1;
  const brush = canvas.getContext('2d', { willReadFrequently: true });
  if (!brush) return ['no canvas'];
  type Colour = readonly [number, number, number, number];
  const read = (css: string): Colour => {
    brush.clearRect(0, 0, 1, 1);
    brush.fillStyle = css;
    brush.fillRect(0, 0, 1, 1);
    const [red = 0, green = 0, blue = 0, alpha = 0] = brush.getImageData(0, 0, 1, 1).data;
    return [red, green, blue, alpha / 255];
  };
  const over = (top: Colour, below: Colour): Colour => {
    const mix = (a: number, b: number) => a * top[3] + b * (1 - top[3]);
    return [mix(top[0], below[0]), mix(top[1], below[1]), mix(top[2], below[2]), 1];
  };
  const ground = (element: Element | null): Colour => {
    if (!element) return [255, 255, 255, 1];
    const own = read(getComputedStyle(element).backgroundColor);
    return own[3] === 1 ? own : over(own, ground(element.parentElement));
  };
  const luminance = ([red, green, blue]: Colour): number => {
    const linear = [red, green, blue].map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * (linear[0] ?? 0) + 0.7152 * (linear[1] ?? 0) + 0.0722 * (linear[2] ?? 0);
  };
  const pale: string[] = [];
  for (const element of document.querySelectorAll('body *')) {
    const text = [...element.childNodes]
      .filter((node) => node.nodeType === Node.TEXT_NODE)
      .map((node) => node.textContent?.trim() ?? '')
      .join('');
    const shown = element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
    if (text === '' || !shown || element.closest('[inert], :disabled, .skip, .hidden')) continue;
    const style = getComputedStyle(element);
    const below = ground(element);
    const [light, dark] = [luminance(over(read(style.color), below)), luminance(below)].sort((a, b) => b - a);
    const ratio = ((light ?? 0) + 0.05) / ((dark ?? 0) + 0.05);
    const size = Number.parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5))
      pale.push(`${ratio.toFixed(2)} "${text.slice(0, 40)}" ${element.className}`);
  }
  return pale;
}

/** Elements that reach beyond the sides of the window without a scroller of their own to hold them. */
export function overflowing(): string[] {
  const width = document.documentElement.clientWidth;
  return [...document.querySelectorAll('.app > :not([inert]) *')]
    .filter((element) => element.checkVisibility({ visibilityProperty: true }))
    .filter((element) => !element.closest('.hidden, .cursors, .shares, svg, .message-name'))
    .filter((element) => {
      const { left, right } = element.getBoundingClientRect();
      return right > width + 1 || left < -1;
    })
    .map((element) => element.outerHTML.slice(0, 120));
}

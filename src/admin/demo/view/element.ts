/**
 * Making and finding elements. Text goes in as text and nothing else does: there is no way from here to
 * markup, so what people write in a room can never become any. The page's Content-Security-Policy forbids
 * the ways around this file too.
 */
type Attributes = Readonly<Record<string, string | boolean>>;
type Child = Node | string;

const SVG = 'http://www.w3.org/2000/svg';

/** `class` and the like as attributes; true is present, false is absent. Never a style or a listener. */
export function make<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children);
  return element;
}

/** One of the drawings in the page's sprite. */
export function icon(name: string): SVGSVGElement {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', `#i-${name}`);
  svg.append(use);
  return svg;
}

/** An element of the page that cannot be missing. */
export function part<Type extends HTMLElement = HTMLElement>(id: string): Type {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`the page has no element #${id}`);
  return element as Type;
}

/** Writes only what is different: a live region says what is written, and a selection would be lost. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** For a frame of the screen, once, however often it is asked for; hidden pages get it when they are shown. */
export function eachFrame(draw: () => void): () => void {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  };
}

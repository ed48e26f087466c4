/**
 * Makes the children of a list what a model says, touching only what differs: elements that stay are neither
 * made again nor moved, so that focus, selection and the reading of a screen reader stay where they are.
 */
export class List<Item> {
  readonly #element: HTMLElement;
  readonly #key: (item: Item) => string;
  readonly #make: (item: Item) => HTMLElement;
  readonly #update: (element: HTMLElement, item: Item, index: number) => void;
  readonly #rows = new Map<string, HTMLElement>();

  constructor(
    element: HTMLElement,
    parts: {
      readonly key: (item: Item) => string;
      /** Only what never changes; `update` is called right after it. */
      readonly make: (item: Item) => HTMLElement;
      readonly update?: (element: HTMLElement, item: Item, index: number) => void;
    },
  ) {
    this.#element = element;
    this.#key = parts.key;
    this.#make = parts.make;
    this.#update = parts.update ?? (() => undefined);
  }

  show(items: readonly Item[]): void {
    const wanted = new Set(items.map(this.#key));
    for (const [key, row] of this.#rows) {
      if (wanted.has(key)) continue;
      row.remove();
      this.#rows.delete(key);
    }
    let next = this.#element.firstElementChild;
    for (const [index, item] of items.entries()) {
      const key = this.#key(item);
      let row = this.#rows.get(key);
      if (!row) {
        row = this.#make(item);
        this.#rows.set(key, row);
      }
      this.#update(row, item, index);
      if (row === next) next = next.nextElementSibling;
      else this.#element.insertBefore(row, next);
    }
  }
}

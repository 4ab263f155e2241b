/** Elements without a framework: the page rebuilds small parts and keeps charts. Text is always text, never markup. */

export type Child = Node | string | undefined | false | null;
type Properties = Readonly<Record<string, string | number | boolean | undefined | ((event: Event) => void)>>;

/** An element. Functions become listeners of the event they are named after; undefined and false leave an attribute out. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Properties = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  return build(document.createElement(tag), properties, children);
}

/** The same of SVG. */
export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  properties: Properties = {},
  ...children: readonly Child[]
): SVGElementTagNameMap[K] {
  return build(document.createElementNS('http://www.w3.org/2000/svg', tag), properties, children);
}

function build<T extends Element>(element: T, properties: Properties, children: readonly Child[]): T {
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === 'function') element.addEventListener(name, value);
    else if (value !== undefined && value !== false)
      element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.filter(isThere));
  return element;
}

const isThere = (child: Child): child is Node | string =>
  child !== undefined && child !== false && child !== null;

/** The element that the page's HTML has under that id. */
export function byId(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no element '${id}'`);
  return element;
}

/** Replaces an element's content; what had the focus has it again, when its data-key is there again, and stays scrolled. */
export function fill(element: HTMLElement, ...children: readonly Child[]): void {
  const focused = document.activeElement;
  const key = focused && element.contains(focused) ? focused.getAttribute('data-key') : null;
  const keyed = (name: string | null) =>
    element.querySelector<HTMLElement>(`[data-key="${CSS.escape(name ?? '')}"]`);
  const scrolled = [...element.querySelectorAll<HTMLElement>('.scroll[data-key]')].map(
    (one) => [one.getAttribute('data-key'), one.scrollLeft, one.scrollTop] as const,
  );
  element.replaceChildren(...children.filter(isThere));
  if (key) keyed(key)?.focus({ preventScroll: true });
  for (const [name, left, top] of scrolled) if (left > 0 || top > 0) keyed(name)?.scrollTo(left, top);
}

/** Replaces what can be chosen; what was chosen stays chosen if it is still there. @param first chosen where nothing was */
export function offerOptions(
  select: HTMLSelectElement,
  options: readonly (readonly [value: string, text: string])[],
  first = '',
): void {
  const before = select.value || first;
  fill(select, ...options.map(([value, text]) => h('option', { value }, text)));
  if (options.some(([value]) => value === before)) select.value = before;
}

/** A curve of a few numbers, without axes. */
export function spark(values: readonly number[]): SVGSVGElement {
  const finite = values.filter(Number.isFinite);
  const empty = svg('svg', {
    class: 'spark',
    viewBox: '0 0 120 24',
    preserveAspectRatio: 'none',
    'aria-hidden': 'true',
  });
  if (finite.length < 2) return empty;
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  const points = values.map((value, i) => {
    const x = (120 * i) / (values.length - 1);
    const y = high > low ? 22 - (20 * (value - low)) / (high - low) : 12;
    return `${x.toFixed(1)} ${Number.isFinite(y) ? y.toFixed(1) : 2}`;
  });
  empty.append(svg('path', { d: `M${points.join('L')}` }));
  return empty;
}

/** A figure with its name. */
export const figure = (label: string, value: string | undefined | false): Child =>
  value !== undefined && value !== false && h('div', {}, h('dt', {}, label), h('dd', {}, value));

/** Event of the window: the colours of the style sheet are others now. */
export const COLORS = 'kasane-colors';

/** A colour of the style sheet: a canvas knows no variables. */
export const color = (variable: string): string => {
  const probe = h('span', { style: `color: var(${variable})`, hidden: true });
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
};

/** Draws at most once a frame, however often it is asked. */
export class Frame {
  readonly #draw: () => void;
  #asked = 0;

  constructor(draw: () => void) {
    this.#draw = draw;
  }

  ask(): void {
    if (this.#asked) return;
    this.#asked = requestAnimationFrame(() => {
      this.#asked = 0;
      this.#draw();
    });
  }

  stop(): void {
    cancelAnimationFrame(this.#asked);
  }
}

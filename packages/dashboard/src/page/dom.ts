/** Elements without a framework: the page rebuilds small parts and keeps charts. Text is always text, never markup. */

type Child = Node | string | undefined | false;
type Properties = Readonly<Record<string, string | number | boolean | undefined | ((event: Event) => void)>>;

/** An element. Functions become listeners of the event they are named after; undefined and false leave an attribute out. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Properties = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === 'function') element.addEventListener(name, value);
    else if (value !== undefined && value !== false)
      element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(
    ...children.filter((child): child is Node | string => child !== undefined && child !== false),
  );
  return element;
}

/** The element that the page's HTML has under that id. */
export function byId(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no element '${id}'`);
  return element;
}

/** Replaces an element's content, but not while the user is at something in it: focus would be lost. */
export function fill(element: HTMLElement, ...children: readonly Child[]): void {
  const focused = document.activeElement;
  const key = focused && element.contains(focused) ? focused.getAttribute('data-key') : null;
  element.replaceChildren(
    ...children.filter((child): child is Node | string => child !== undefined && child !== false),
  );
  if (key) element.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`)?.focus();
}

/** A curve of a few numbers, without axes. */
export function spark(values: readonly number[]): SVGSVGElement {
  const namespace = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(namespace, 'svg');
  svg.setAttribute('class', 'spark');
  svg.setAttribute('viewBox', '0 0 120 24');
  svg.setAttribute('aria-hidden', 'true');
  const finite = values.filter(Number.isFinite);
  if (finite.length < 2) return svg;
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  const points = values.map((value, i) => {
    const x = (120 * i) / (values.length - 1);
    const y = high > low ? 22 - (20 * (value - low)) / (high - low) : 12;
    return `${x.toFixed(1)} ${Number.isFinite(y) ? y.toFixed(1) : 2}`;
  });
  const path = document.createElementNS(namespace, 'path');
  path.setAttribute('d', `M${points.join('L')}`);
  svg.append(path);
  return svg;
}

/** A view whose script is loaded when it is opened. */
import { h } from './dom.ts';
import { attempt, type Known, type Page, type View } from './view.ts';

export class LazyView implements View {
  readonly element: HTMLElement;
  #view: View | undefined;
  #isDestroyed = false;

  /** @param onLoad called when the view is there, to ask for an update */
  constructor(page: Page, load: (page: Page) => Promise<View>, onLoad: () => void) {
    this.element = h('div', {}, h('p', { class: 'faint', role: 'status' }, page.t.loading));
    attempt(page, async () => {
      const view = await load(page);
      if (this.#isDestroyed) return view.destroy();
      this.#view = view;
      this.element.replaceChildren(view.element);
      onLoad();
    });
  }

  update(known: Known): void {
    this.#view?.update(known);
  }

  destroy(): void {
    this.#isDestroyed = true;
    this.#view?.destroy();
  }
}

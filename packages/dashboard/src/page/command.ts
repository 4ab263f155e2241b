/** A command of the terminal, to be copied. */
import { h } from './dom.ts';
import { attempt, type Page } from './view.ts';

export function commandLine(page: Page, command: string): HTMLElement {
  const { t } = page;
  const copy = () =>
    attempt(page, async () => {
      await navigator.clipboard.writeText(command);
      button.textContent = t.copied;
    });
  const button = h('button', { type: 'button', 'aria-label': `${t.copy}: ${command}`, click: copy }, t.copy);
  return h('div', { class: 'command' }, h('code', {}, command), button);
}

/** A dialog with a job file in it: a new job, or one that was with changes. */
import { fill, h } from './dom.ts';
import { specOf, submit } from './remote.ts';
import { jobAddress } from './route.ts';
import type { Page } from './view.ts';

/** What a new job begins as. */
export const TEMPLATE = `name: mnist-mlp
model:
  preset: mnist-mlp
training:
  epochs: 10
  batch: 128
  optimizer:
    type: adam
  learningRate: 0.001
`;

export class SubmitDialog {
  readonly element: HTMLDialogElement;
  readonly #text: HTMLTextAreaElement;
  readonly #problem = h('p', { class: 'failed', role: 'alert' });
  readonly #submit: HTMLButtonElement;

  constructor({ t }: Page) {
    this.#text = h('textarea', { rows: 22, spellcheck: 'false', 'aria-label': t.jobFile, name: 'job-file' });
    this.#submit = h('button', { type: 'submit', class: 'main' }, t.submit);
    const form = h(
      'form',
      { submit: (event) => this.#send(event) },
      h('h2', {}, t.jobFile),
      this.#text,
      this.#problem,
      h(
        'div',
        { class: 'actions' },
        this.#submit,
        h('button', { type: 'button', click: () => this.element.close() }, t.close),
      ),
    );
    this.element = h('dialog', { 'aria-label': t.jobFile }, form);
  }

  open(file: string): void {
    this.#text.value = file;
    fill(this.#problem);
    this.element.showModal();
    this.#text.focus();
  }

  /** With the file of a job that there is. */
  async openCopy(job: string): Promise<void> {
    this.open(await specOf(job));
  }

  #send(event: Event): void {
    event.preventDefault();
    this.#submit.disabled = true;
    submit(this.#text.value)
      .then((job) => {
        this.element.close();
        location.hash = jobAddress(job);
      })
      .catch((error: Error) => fill(this.#problem, error.message))
      .finally(() => {
        this.#submit.disabled = false;
      });
  }
}

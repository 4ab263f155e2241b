/** A dark square that is drawn on in white, by mouse, pen or finger. */
import { h } from './dom.ts';

const SIZE = 280;
/** Of the pen: about what a digit of MNIST has at this size. */
const PEN = 22;

export class DrawingPad {
  readonly canvas: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D;
  #last: readonly [number, number] | undefined;

  /** @param onStroke called after each part of a stroke */
  constructor(label: string, onStroke: () => void) {
    this.canvas = h('canvas', { class: 'pad', width: SIZE, height: SIZE, role: 'img', 'aria-label': label });
    this.#context = this.canvas.getContext('2d', { willReadFrequently: true })!;
    this.clear();
    const on = (
      name: 'pointerdown' | 'pointermove' | 'pointerup' | 'pointercancel',
      hear: (event: PointerEvent) => void,
    ) => this.canvas.addEventListener(name, hear);
    on('pointerdown', (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      this.#last = this.#place(event);
      this.#stroke(this.#last);
      onStroke();
    });
    on('pointermove', (event) => {
      if (!this.#last) return;
      for (const each of [...event.getCoalescedEvents(), event]) this.#stroke(this.#place(each));
      onStroke();
    });
    for (const name of ['pointerup', 'pointercancel'] as const) on(name, () => (this.#last = undefined));
  }

  clear(): void {
    this.#context.fillStyle = '#000';
    this.#context.fillRect(0, 0, SIZE, SIZE);
  }

  #place(event: PointerEvent): readonly [number, number] {
    const box = this.canvas.getBoundingClientRect();
    return [((event.clientX - box.left) * SIZE) / box.width, ((event.clientY - box.top) * SIZE) / box.height];
  }

  #stroke(to: readonly [number, number]): void {
    const context = this.#context;
    context.strokeStyle = '#fff';
    context.lineWidth = PEN;
    context.lineCap = 'round';
    context.lineJoin = 'round';
    context.beginPath();
    context.moveTo(...(this.#last ?? to));
    context.lineTo(...to);
    context.stroke();
    this.#last = to;
  }
}

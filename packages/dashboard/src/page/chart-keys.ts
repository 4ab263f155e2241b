/** A chart by keyboard: arrows, Home and End move its cursor as a mouse does, and what is there is said as well as shown. */
import type UPlot from 'uplot';

/** Arrows go this part of what is shown, but a point at least. */
const STRIDE = 0.02;

/** @param labels of the axis and of each curve @param format how values are written @param xText how x values are written, by default as numbers */
export function listenToKeys(
  plot: UPlot,
  title: string,
  labels: readonly string[],
  format: (value: number) => string,
  xText: (value: number, index: number) => string = String,
): void {
  const { over } = plot;
  over.tabIndex = 0;
  over.setAttribute('role', 'slider');
  over.setAttribute('aria-label', title);
  over.setAttribute('aria-valuenow', '0');
  over.addEventListener('keydown', (event) => {
    const { min, max } = plot.scales.x!;
    if (min == null || max == null || plot.data[0].length === 0) return;
    const [first, last] = [plot.valToIdx(min), plot.valToIdx(max)];
    const at = plot.cursor.idx ?? last;
    const stride = Math.max(1, Math.round(STRIDE * (last - first)));
    const to = { ArrowLeft: at - stride, ArrowRight: at + stride, Home: first, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const index = Math.max(first, Math.min(last, to));
    const x = plot.data[0][index]!;
    plot.setCursor({ left: plot.valToPos(x, 'x'), top: 0 });
    over.setAttribute('aria-valuenow', String(x));
    const texts = plot.data.map((values, i) => {
      const value = values[index];
      return `${labels[i]} ${value == null ? '-' : format(value)}`;
    });
    texts[0] = `${labels[0]} ${xText(x, index)}`;
    over.setAttribute('aria-valuetext', texts.join(', '));
  });
  over.addEventListener('blur', () => plot.setCursor({ left: -10, top: -10 }));
}

/** The traces of a cluster's workers as one file, and what is worth knowing of it at a glance. */
import { readRegularSync } from '@kasane/tensor/internal/node/regular-file';
import { writeFile } from '../files/write-file.ts';
import { table } from './table.ts';

interface Event {
  readonly name: string;
  readonly cat?: string;
  /** Microseconds. */
  readonly dur?: number;
  readonly args?: { readonly layer?: string; readonly pass?: string };
}

export interface LayerCost {
  /** Empty: the loss, and sums of gradients. */
  readonly layer: string;
  /** Of the time that kernels took, 0 to 1. */
  readonly share: number;
  /** Milliseconds. */
  readonly forward: number;
  readonly backward: number;
}

const LINES = 5;
/** Of one worker's trace. */
const TRACE_BYTES = 2 ** 29;

/**
 * Joins the parts, traces that may still be written to, into `out`, and sums up what each layer cost.
 * @returns the most expensive layer first
 */
export function joinTraces(parts: readonly string[], out: string): LayerCost[] {
  const lines = parts.flatMap((path) =>
    readRegularSync(path, TRACE_BYTES).toString().split('\n').flatMap(eventOf),
  );
  writeFile(`{"traceEvents":[\n${lines.map(({ text }) => text).join(',\n')}\n]}\n`, out);
  const costs = new Map<string, { forward: number; backward: number }>();
  for (const { event } of lines) {
    if (event.cat !== 'kernel') continue;
    const { layer = '', pass } = event.args ?? {};
    const cost = costs.get(layer) ?? { forward: 0, backward: 0 };
    cost[pass === 'backward' ? 'backward' : 'forward'] += (event.dur ?? 0) / 1000;
    costs.set(layer, cost);
  }
  const all = [...costs.values()].reduce((sum, { forward, backward }) => sum + forward + backward, 0);
  return [...costs]
    .map(([layer, cost]) => ({ layer, ...cost, share: (cost.forward + cost.backward) / all }))
    .sort((a, b) => b.share - a.share);
}

/** The most expensive layers as lines. */
export function expensiveLayers(costs: readonly LayerCost[]): string {
  const rows = costs
    .slice(0, LINES)
    .map(({ layer, share, forward, backward }) => [
      layer || '(loss and sums)',
      `${(100 * share).toFixed(1)} %`,
      `${forward.toFixed(0)} ms`,
      `${backward.toFixed(0)} ms`,
    ]);
  return table(['LAYER', 'KERNELS', 'FORWARD', 'BACKWARD'], rows);
}

/** An event of a line, without the comma behind it. The brackets around the list, and a line that was cut short, are none. */
function eventOf(line: string): { readonly text: string; readonly event: Event }[] {
  const text = line.replace(/[,\]]+$/, '');
  if (!text.startsWith('{')) return [];
  try {
    return [{ text, event: JSON.parse(text) as Event }];
  } catch {
    return [];
  }
}

/** `kasane predict`: what a trained model makes of images and numbers. */
import type { ClientOptions } from '@kasane/protocol/client';
import { openWasmSession } from '@kasane/tensor/backends/wasm/session';
import { enableRevectorization } from '@kasane/tensor/node/v8-flags';
import { type ReadInput, type ReadOptions, readerOf } from '../predict/inputs.ts';
import { percent } from '../render/job.ts';
import { loadTrained, type Trained } from '../trained.ts';

export interface PredictOptions extends ClientOptions, ReadOptions {
  readonly json?: boolean;
}

export async function predict(
  source: string,
  inputs: readonly string[],
  options: PredictOptions,
): Promise<void> {
  const trained = await loadTrained(source, options);
  const read = readerOf(trained, options);
  enableRevectorization();
  const request = { mode: 'predict', samples: 1 } as const;
  const session = await openWasmSession(trained.model, [request]);
  session.parameters.set(trained.parameters);
  const program = session.program(request);
  for (const input of inputs) {
    const given = await read(input);
    program.x.set(given.x);
    program.run();
    const answer = answerOf(trained, input, given, program.logits);
    process.stdout.write(`${options.json ? JSON.stringify(answer.record) : answer.line}\n`);
  }
}

/** What comes out for one input, as `--json` has it and as a line. */
function answerOf(
  { model, preparation }: Trained,
  input: string,
  { inverted }: ReadInput,
  scores: Float32Array,
): { record: object; line: string } {
  if (model.description.classes === undefined) {
    const output = [...scores];
    return {
      record: { input, output },
      line: `${input}: ${output.map((value) => value.toPrecision(6)).join(', ')}`,
    };
  }
  const probabilities = softmax(scores);
  const ranked = probabilities.map((p, index) => ({ p, index })).sort((a, b) => b.p - a.p);
  const [best, second] = ranked as [{ p: number; index: number }, { p: number; index: number }?];
  const nameOf = (index: number) => preparation.classes?.[index] ?? String(index);
  const label = preparation.classes?.[best.index] ?? null;
  const next = second ? `; next ${nameOf(second.index)} with ${percent(second.p)}` : '';
  const note = inverted ? ', inverted first: its border is bright' : '';
  return {
    record: { input, class: best.index, label, probabilities, ...(inverted !== undefined && { inverted }) },
    line: `${input}: ${nameOf(best.index)} (${percent(best.p)}${next})${note}`,
  };
}

function softmax(scores: Float32Array): number[] {
  const largest = Math.max(...scores);
  const powers = Array.from(scores, (value) => Math.exp(value - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

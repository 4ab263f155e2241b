/** Opens a job's data and checks that the model can be trained on it. */

import { classNamesOf, type DataParts, type TablePreparation } from '@kasane/data/dataset';
import type { Access } from '@kasane/data/internal/files/access';
import { openTokenizer } from '@kasane/data/internal/text/tokenizer';
import { openData, placeOf } from '@kasane/data/open';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import { readers, whyUnfit } from '@kasane/protocol/internal/job/fit';
import { checkPreparation } from '@kasane/protocol/internal/job/preparation';
import type { Job } from '@kasane/protocol/job';
import { BATCH_BYTES, FRAME_HEADER_BYTES, PREPARATION_BYTES } from '@kasane/protocol/limits';
import { counted } from '@kasane/tensor/internal/counted';
import { fieldBytes } from '@kasane/tensor/internal/field';
import { domainOf, targetOf } from '@kasane/tensor/objective';
import { sizeOf } from '@kasane/tensor/shape';
import { describeSamples } from './describe-job.ts';

export interface LoadOptions {
  /** How training prepared a table: all rows are then for testing. */
  readonly prepared?: TablePreparation | undefined;
  /** Default: open the data again. */
  readonly open?: typeof openData;
}

/** @param access what it may read @throws KasaneError DATA_INVALID */
export async function loadData(
  job: Job,
  access: Access,
  { prepared, open = openData }: LoadOptions = {},
): Promise<DataParts> {
  const place = placeOf(job.spec.data);
  let data: DataParts;
  try {
    const { data: section } = job.spec;
    data = await open(section.format === 'csv' ? { ...section, prepared } : section, access);
    // The index was written by others, and its preparation goes into tokenizers here and into the weights.
    if (section.format === 'packed') checkPreparation(data.preparation, 'preparation');
  } catch (error) {
    const where = error instanceof KasaneError ? `${place}: ` : '';
    throw new KasaneError('DATA_INVALID', `${where}${messageOf(error)}`, { cause: error });
  }
  checkNames(job, data);
  checkInputs(job, data);
  const format = describeSamples(job, data);
  // Training sizes are left out; `checkTraining` checks them.
  const why = whyUnfit({ model: job.model, objective: job.objective, format, trainSamples: [] });
  if (why !== undefined) throw new KasaneError('DATA_INVALID', `${place}: ${why}`);
  checkClasses(job, data);
  checkDomain(job, data);
  checkTokens(job, data);
  checkSizes(job, data);
  const more = [...spareClasses(job, data), ...squashedScores(job)];
  return more.length > 0 ? { ...data, notes: [...(data.notes ?? []), ...more] } : data;
}

/** Names and other preparation must fit into messages and into the header of the weights, which could not be read otherwise. */
function checkNames({ spec }: Job, { preparation }: DataParts): void {
  const bytes = Buffer.byteLength(JSON.stringify(preparation));
  if (bytes <= PREPARATION_BYTES) return;
  const names = (classNamesOf(preparation) ?? []).concat(
    (preparation.table?.columns ?? []).flatMap((column) => ('categories' in column ? column.categories : [])),
  );
  const longest = names.reduce((most, name) => Math.max(most, name.length), 0);
  throw new KasaneError(
    'DATA_INVALID',
    `${placeOf(spec.data)}: the names of its classes and categories, and what else prepares its samples, take ${bytes} bytes; the limit is ${PREPARATION_BYTES}. The longest name has ${counted(longest, 'character')}: choose columns of short names, not of texts`,
  );
}

/** A model may have more outputs than there are classes, but seldom on purpose. */
function spareClasses({ model }: Job, { preparation: { classes } }: DataParts): string[] {
  const known = model.description.classes;
  if (known === undefined || classes === undefined || known <= classes.length) return [];
  return [
    `the model has ${known} classes, but the data has ${classes.length}: set model.classes (for the preset tabular: model.outputs) to ${classes.length} unless you will add more classes`,
  ];
}

/** Losses that take logits and turn them into probabilities. */
const ofScores: ReadonlySet<string> = new Set(['classification', 'binary', 'next-token', 'masked-token']);

/** Such a loss would apply softmax to probabilities again: they get close to each other, and gradients are small. */
function squashedScores({ model, objective }: Job): string[] {
  const last = model.description.layers.at(-1)?.type;
  if (!ofScores.has(objective.type) || (last !== 'softmax' && last !== 'sigmoid')) return [];
  return [
    `the last layer is ${last}, but objective ${objective.type} takes the scores before it: remove the layer, or the model learns slowly and stays unsure`,
  ];
}

/** Labels must be classes or tokens that the model has; binary data has two. */
function checkClasses({ spec, model, objective }: Job, data: DataParts): void {
  const whole = targetOf(model, objective).dtype === 'i32';
  const binary = objective.type === 'binary';
  // A custom loss checks its labels at run time.
  if ((!whole && !binary) || objective.type === 'own') return;
  const kinds = binary ? 2 : model.outputShape.at(-1)!;
  for (const name of ['train', 'test'] as const) {
    const { classes = 0, target } = data[name];
    if (classes <= kinds || (binary && target.dtype === 'f32')) continue;
    const tells =
      model.description.classes === undefined
        ? `knows ${counted(kinds, 'token')}`
        : `has ${counted(kinds, 'class', 'classes')}`;
    const what = binary ? 'objective binary takes 0 and 1' : `model ${tells}`;
    throw new KasaneError(
      'DATA_INVALID',
      `${placeOf(spec.data)}: ${name} labels reach ${classes - 1}, but the ${what}; labels count from 0`,
    );
  }
}

/** Target values must be in the domain of the objective's loss. */
function checkDomain({ spec, objective: { type } }: Job, { preparation, ...parts }: DataParts): void {
  const domain = domainOf[type];
  const [least, most] = domain ?? [];
  if (least === undefined || most === undefined || parts.train.target.dtype !== 'f32') return;
  const takes = `objective ${type} takes numbers from ${least} to ${most}`;
  const place = placeOf(spec.data);
  if (preparation.table?.targets.some(({ mean, std }) => mean !== 0 || std !== 1))
    throw new KasaneError(
      'DATA_INVALID',
      `${place}: its targets are standardized, but ${takes}. Pack it again without data.standardizeTarget`,
    );
  for (const { ranges } of [parts.train, parts.test]) {
    if (!ranges)
      throw new KasaneError(
        'DATA_INVALID',
        `${place}: its index does not record the range of its targets, and ${takes}. Pack it again with \`kasane data pack\``,
      );
    for (const range of ranges) {
      const found = [range.least, range.most].find(({ value }) => value < least || value > most);
      if (!found) continue;
      throw new KasaneError(
        'DATA_INVALID',
        `${spec.data.format === 'packed' ? `${place}: ` : ''}${found.at}: target '${range.name}' is ${found.value}, but ${takes}. Write 0 for no and 1 for yes, or set objective: { type: regression }`,
      );
    }
  }
}

/** An embedding must have a row for each index that reaches it. */
function checkTokens({ spec, model }: Job, { preparation: { text, table } }: DataParts): void {
  const embedding = readers(model).find(({ type }) => type === 'embedding');
  if (!embedding) return;
  const rows = embedding.options.tokens as number;
  const refuse = (what: string, least: number) =>
    new KasaneError(
      'DATA_INVALID',
      `${placeOf(spec.data)}: ${what}, but layer ${embedding.name} (embedding) has ${counted(rows, 'row')}; set its tokens to ${least} or more`,
    );
  if (text) {
    const { size } = openTokenizer(text.tokenizer);
    if (size > rows) throw refuse(`texts have ${size} different tokens`, size);
  }
  const { offset, size } = partOf(model, embedding);
  let at = 0;
  for (const column of table?.columns ?? []) {
    const from = at;
    at += column.kind === 'category' ? column.categories.length : 1;
    if (from < offset || from >= offset + size) continue;
    if (column.kind !== 'index')
      throw new KasaneError(
        'DATA_INVALID',
        `${placeOf(spec.data)}: column '${column.name}' goes into layer ${embedding.name} (embedding), which takes category indices; set data.columns: { ${column.name}: index }`,
      );
    // 0 is a category that training has not seen.
    const least = column.categories.length + 1;
    if (least > rows)
      throw refuse(`column '${column.name}' has ${column.categories.length} categories`, least);
  }
}

/** The features of a sample that a layer receives. */
function partOf(model: Job['model'], { from }: Job['model']['layers'][number]) {
  const source = from.find((index) => index >= 0);
  const part = source === undefined ? undefined : model.layers[source]!.part;
  return part ?? { offset: 0, size: sizeOf(model.sampleShape) };
}

/** A table's columns must be where the model's input layers expect them. */
function checkInputs({ model, spec }: Job, { preparation: { table } }: DataParts): void {
  const parts = model.layers.flatMap(({ name, part }) => (part ? [`${name} ${part.size}`] : []));
  const given = table?.inputs?.map(({ name, features }) => `${name} ${features}`);
  if (given ? given.join() === parts.join() : !table || parts.length < 2) return;
  const has = given ? `gives ${given.join(', ')} numbers` : 'is missing; it assigns columns to input layers';
  const takes = parts.length > 0 ? `input layers take ${parts.join(', ')}` : 'layers include no input layer';
  throw new KasaneError('DATA_INVALID', `${placeOf(spec.data)}: data.inputs ${has}; the model's ${takes}`);
}

/** The samples of one task are staged, and held by a worker, as a whole. */
function checkSizes({ spec }: Job, { train, test }: DataParts): void {
  const { batch, shards } = spec.training;
  const { every } = spec.exchange;
  const { shardSamples } = spec.evaluation;
  const each = 8 + fieldBytes(train.target) + fieldBytes(train.input);
  const sizes = {
    [every > 1 ? 'exchange.every' : 'training.shards']: Math.ceil(
      Math.min(batch * every, train.samples) / shards,
    ),
    'evaluation.shardSamples': Math.min(shardSamples, test.samples),
  };
  for (const [option, samples] of Object.entries(sizes)) {
    if (samples * each + FRAME_HEADER_BYTES <= BATCH_BYTES) continue;
    const most = Math.floor((BATCH_BYTES - FRAME_HEADER_BYTES) / each);
    throw new KasaneError(
      'LIMIT',
      `${option}: a task would take ${counted(samples, 'sample')} of ${counted(each, 'byte')}; at most ${most} of this size fit`,
    );
  }
}

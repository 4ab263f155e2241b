/** Names of registered models: NAME:VERSION, or NAME:ALIAS. */
import { KasaneError } from '../errors.ts';
import { isName } from './job-name.ts';

/** A registered model as it is asked for: the reference is a version or an alias. */
export interface ModelName {
  readonly name: string;
  readonly reference: string;
}

const WHAT =
  'expected at most 64 letters, digits, dots, dashes and underscores, without a dot or dash at the start';

/** The parts of NAME:VERSION or NAME:ALIAS; undefined for what is none, such as a path or a job's ID. */
export function modelName(text: string): ModelName | undefined {
  const [name = '', reference = '', ...more] = text.normalize('NFC').split(':');
  if (more.length > 0 || !isName(name) || !isName(reference) || isFileName(reference)) return undefined;
  return { name, reference };
}

/** It would be taken for a file. */
const isFileName = (reference: string): boolean => reference.endsWith('.safetensors');

/** @throws KasaneError USAGE */
export function requireModelName(text: string): ModelName {
  const found = modelName(text);
  if (found) return found;
  throw new KasaneError(
    'USAGE',
    `'${text}' is not a registered model; expected NAME:VERSION, such as digits:3`,
  );
}

/** @param what it is: a name, a version or an alias @throws KasaneError USAGE */
export function checkModelPart(what: 'name' | 'version' | 'alias', text: string): void {
  if (!isName(text)) throw new KasaneError('USAGE', `model ${what} '${text}': ${WHAT}`);
  if (isFileName(text))
    throw new KasaneError(
      'USAGE',
      `model ${what} '${text}' would be taken for a file; leave out .safetensors`,
    );
}

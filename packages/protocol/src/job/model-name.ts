/** Names of registered models: NAME:VERSION, or NAME:ALIAS. */
import { KasaneError } from '../errors.ts';
import { isId, isName, NAME_LENGTH, NAME_RULE } from './job-name.ts';

/** A reference to a registered model: by version or by alias. */
export interface ModelName {
  readonly name: string;
  readonly reference: string;
}

const JOB = 'job:';

/** The job whose weights `init` names, as job:ID; undefined where it names something else. */
export function jobOfInit(init: string): string | undefined {
  const id = init.startsWith(JOB) ? init.slice(JOB.length).normalize('NFC') : '';
  return isId(id) && !isFileName(id) ? id : undefined;
}

/** How `init` names the weights of a job. */
export const initOfJob = (id: string): string => `${JOB}${id}`;

/** Parses NAME:VERSION or NAME:ALIAS; undefined for anything else, such as a path or a job ID. */
export function modelName(text: string): ModelName | undefined {
  const [name = '', reference = '', ...more] = text.normalize('NFC').split(':');
  if (more.length > 0 || !isName(name) || !isName(reference) || isFileName(reference)) return undefined;
  return { name, reference };
}

/** Such a reference would be mistaken for a file. */
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

/** @param what the part that `text` is @throws KasaneError USAGE */
export function checkModelPart(what: 'name' | 'version' | 'alias', text: string): void {
  if (!isName(text))
    throw new KasaneError('USAGE', `model ${what} '${text}': ${NAME_RULE}, at most ${NAME_LENGTH}`);
  if (isFileName(text))
    throw new KasaneError(
      'USAGE',
      `model ${what} '${text}' would be mistaken for a file; remove .safetensors`,
    );
}

/** What holds for a job of any content, before the schema is asked: it may come from anybody, as text or as JSON. */
import { KasaneError } from '../errors.ts';
import { JOB_FILE_DEPTH, JOB_STRING } from '../limits.ts';

/**
 * Refuses values that are nested too deep, or circular, texts that are too long, and keys that objects take for something else.
 * @param locate names the place of a path in messages
 * @throws KasaneError JOB_INVALID
 */
export function checkShape(value: unknown, locate: (path: readonly PropertyKey[]) => string): void {
  const checkLength = (text: string, path: readonly PropertyKey[]) => {
    if (text.length > JOB_STRING)
      throw new KasaneError(
        'JOB_INVALID',
        `${locate(path)}: ${path.join('.') || 'the file'}: a string of ${text.length} characters; at most ${JOB_STRING} are allowed`,
      );
  };
  const look = (part: unknown, path: readonly PropertyKey[]): void => {
    if (typeof part === 'string') checkLength(part, path);
    if (typeof part !== 'object' || part === null || ArrayBuffer.isView(part)) return;
    if (path.length > JOB_FILE_DEPTH)
      throw new KasaneError(
        'JOB_INVALID',
        `${locate(path)}: nested more than ${JOB_FILE_DEPTH} levels deep, which is the limit`,
      );
    if (Array.isArray(part)) {
      for (const [index, each] of part.entries()) look(each, [...path, index]);
      return;
    }
    // A schema that copies objects would leave it out, or take it for a prototype.
    if (Object.hasOwn(part, '__proto__')) {
      const named = [...path, '__proto__'];
      throw new KasaneError('JOB_INVALID', `${locate(named)}: ${named.join('.')}: unknown key`);
    }
    for (const [key, each] of Object.entries(part)) {
      checkLength(key, path);
      look(each, [...path, key]);
    }
  };
  look(value, []);
}

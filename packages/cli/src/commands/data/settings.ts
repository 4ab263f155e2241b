/** What `--set` says of a data section: key=value, or columns.NAME=value for one entry of an object. */
import { KasaneError } from '@kasane/protocol/errors';

type Section = Readonly<Record<string, unknown>>;

/** The options of a data section that --set gives. @throws KasaneError USAGE */
export const settingsOf = (set: readonly string[]): Section => withSettings({}, set);

/** A data section with what --set says: the value of a key is replaced, that of an entry added. @throws KasaneError USAGE */
export function withSettings(section: Section, set: readonly string[]): Section {
  const result: Record<string, unknown> = { ...section };
  for (const text of set) {
    const [, key, entry, value] = /^(\w+)(?:\.([^=]+))?=(.*)$/s.exec(text) ?? [];
    if (key === undefined || value === undefined)
      throw new KasaneError(
        'USAGE',
        `--set ${text}: expected key=value, such as size=32 or columns.NAME=ignore`,
      );
    if (entry === undefined) result[key] = readValue(value);
    else
      result[key] = {
        ...entriesOf(result[key] ?? {}, text, key),
        [entry.normalize('NFC')]: readValue(value),
      };
  }
  return result;
}

function entriesOf(value: unknown, text: string, key: string): object {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new KasaneError(
    'USAGE',
    `--set ${text}: ${key} is not an object; set the whole value with --set ${key}=...`,
  );
}

/** JSON, a list of words as messages have it, [ERR, N/A], or the text as it stands. A tab is written as in JSON, whose quotation marks the shell has taken. */
function readValue(text: string): unknown {
  if (text === '\\t') return '\t';
  try {
    return JSON.parse(text);
  } catch {
    const [, words] = /^\[([^[\]"{}]+)\]$/.exec(text) ?? [];
    return words === undefined ? text : words.split(',').map((word) => readValue(word.trim()));
  }
}

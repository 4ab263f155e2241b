/** Names that people give jobs, sweeps and registered models, in any script. They begin IDs, which name files and are arguments of commands. */

/** Most UTF-16 code units of a name: as UTF-8 at most 192 bytes, so that a file's name has room for the rest of an ID and an ending. */
export const NAME_LENGTH = 64;

/** The form of a name, but for its length. Marks, such as the vowels of Devanagari, only follow letters. */
export const namePattern = /^[\p{L}\p{N}_][\p{L}\p{M}\p{N}_.-]*$/u;
/** What a name may be, for error messages. */
export const NAME_RULE =
  'expected only letters, digits, dots, dashes and underscores, without a dot or dash at the start';
/** The same for editors, some of which know no classes of Unicode: what of ASCII may be in a name. */
export const ASCII_PATTERN = '^[^ -/:-@\\[-^`{-~][^ -,/:-@\\[-^`{-~]*$';
/** What a name may have only inside, and what it may not have at all. */
const FORBIDDEN = /[^\p{L}\p{M}\p{N}_.-]+/gu;
const NOT_FIRST = /^[^\p{L}\p{N}]+|-+$/gu;

/** Whether a text in normal form C is a name. */
export const isName = (text: string): boolean => text.length <= NAME_LENGTH && namePattern.test(text);

/** Whether a text may be the ID of a job or of a sweep: its name, a dash, and eight digits; of a trial a dash and its number follow. */
export const isId = (text: string): boolean => text.length <= NAME_LENGTH + 15 && namePattern.test(text);

/** The parts of any text that a name may have; empty: there are none. */
export const nameFrom = (text: string): string =>
  text.normalize('NFC').replace(FORBIDDEN, '-').replace(NOT_FIRST, '');

/** Messages of the readers of data, for people who have weights and no job: they can write another file, but set no data options. */

/** Keys of a data section that say how a file is read, or what becomes of what can not be used. */
const KEY =
  /(?<![\w./-])data\.(delimiter|quote|encoding|comment|skipLines|header|decimal|thousands|missingValues|missing|onDamaged|order|gaps|time|columns|inputs|target|standardize|path|test)\b/;

const INSTEAD = 'Use the format of the file that the model was trained with';

/** The message with what can be done by whoever has no job. */
export const withoutJob = (message: string): string =>
  KEY.test(message) ? `${withoutOptions(message)}. ${INSTEAD}` : message;

/** The message without clauses about options of a job. */
export function withoutOptions(message: string): string {
  const sentences = message.split(/(?<=\S)\. (?=[A-Z])/).flatMap((sentence) => {
    const clauses = sentence
      .replace(/ \([^()]*\)/g, (aside) => (KEY.test(aside) ? '' : aside))
      .split(/(?<=, )(?=or )|(?<=; )/);
    // The others would begin with "or".
    if (KEY.test(clauses[0]!)) return [];
    const kept = clauses.filter((clause) => !KEY.test(clause)).join('');
    return [kept.replace(/[,;] $/, '')];
  });
  return sentences.join('. ');
}

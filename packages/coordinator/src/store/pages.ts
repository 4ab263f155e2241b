/** Lists that are asked for page by page, and long histories that are shown by a selection. */
import { KasaneError } from '@kasane/protocol/errors';

/** Where a job stands in the list of all jobs, or a sweep in that of all sweeps. */
export interface Place {
  readonly submittedAt: number;
  readonly row: number;
}

/** How many a page has. @param asked 0: nothing was said */
export const pageSize = (asked: number, usual: number, most: number): number =>
  Math.min(asked === 0 ? usual : asked, most);

/** A place in the list of jobs, as clients carry it from one page to the next. */
export const placeToken = ({ submittedAt, row }: Place): string => `${submittedAt}_${row}`;

/** @throws KasaneError USAGE */
export function placeOfToken(token: string): Place | undefined {
  if (token === '') return undefined;
  const [, submittedAt, row] = /^(\d{1,16}(?:\.\d{1,9})?)_(\d{1,16})$/.exec(token) ?? [];
  if (submittedAt === undefined) throw badToken();
  return { submittedAt: Number(submittedAt), row: Number(row) };
}

/** The epoch that a page ended with. @throws KasaneError USAGE */
export function epochOfToken(token: string): number {
  if (token === '') return 0;
  if (!/^\d{1,10}$/.test(token)) throw badToken();
  return Number(token);
}

const badToken = () =>
  new KasaneError('USAGE', 'page_token is invalid; use the next_page_token of the previous page');

/** Which of `count` places in a row are shown, counted from 0: the newest half without a gap, of those before every so many. */
export function selection(count: number, most: number): number[] {
  if (count <= most) return Array.from({ length: count }, (_, index) => index);
  const newest = Math.ceil(most / 2);
  const older = most - newest;
  const spread = Array.from({ length: older }, (_, index) => Math.floor((index * (count - newest)) / older));
  return [...spread, ...Array.from({ length: newest }, (_, index) => count - newest + index)];
}

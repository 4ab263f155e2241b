/** What zod finds wrong with a job file, in words: where, what was expected, and how to fix it. */
import { suggest } from '@kasane/tensor/internal/nn/nearest';
import { KasaneError } from '../errors.ts';
import type * as z from '../gen/zod.js';
import { unknownOption } from './job-data.ts';
import { keysAt } from './job-keys.ts';
import { plainly } from './plain-issue.ts';

/** Faults of a job file that are told at once: a line each, and each takes a while to explain. */
const TOLD_ISSUES = 10;

/**
 * What is wrong with a file, a line each.
 * @param value the whole file's content
 * @param schema the JSON Schema of what it should be
 */
export function refusal(
  all: readonly z.core.$ZodIssue[],
  locate: (path: readonly PropertyKey[]) => string,
  value: unknown,
  schema: () => object,
): KasaneError {
  // A key that is missing may be there under another name, which says more.
  const issues = narrowest(all).sort(
    (a, b) => Number(isMissing(value, a.path)) - Number(isMissing(value, b.path)),
  );
  const messages = issues.slice(0, TOLD_ISSUES).map((issue) => describeIssue(issue, locate, value, schema));
  if (issues.length > TOLD_ISSUES) messages.push(`and ${issues.length - TOLD_ISSUES} more`);
  return new KasaneError('JOB_INVALID', messages.join('\n'));
}

/** Of several limits that one value breaks, the narrowest: within it, the others hold too. */
function narrowest(issues: readonly z.core.$ZodIssue[]): z.core.$ZodIssue[] {
  return issues.filter(
    (issue) =>
      !issues.some(
        (other) =>
          other.path.join('\0') === issue.path.join('\0') &&
          ((issue.code === 'too_big' && other.code === 'too_big' && other.maximum < issue.maximum) ||
            (issue.code === 'too_small' && other.code === 'too_small' && other.minimum > issue.minimum)),
      ),
  );
}

function describeIssue(
  issue: z.core.$ZodIssue,
  locate: (path: readonly PropertyKey[]) => string,
  value: unknown,
  schema: () => object,
): string {
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    // The branch that failed deepest is the one the writer meant; of several, that which has all of its keys.
    const branches = [...issue.errors].sort((a, b) => depth(b) - depth(a) || lacking(a) - lacking(b));
    const [inner] = branches[0] ?? [];
    if (inner)
      return describeIssue({ ...inner, path: [...issue.path, ...inner.path] }, locate, value, schema);
  }
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0]!;
    const path = [...issue.path, key];
    if (issue.path.join() === 'data') {
      const { data } = value as { readonly data: unknown };
      return `${locate(path)}: ${path.join('.')}: ${unknownOption(key, data)}`;
    }
    if (path.length === 1 && key === 'search')
      return `${locate(path)}: search: this file describes a sweep; run it with \`kasane sweep\`, or remove the section`;
    const hint = suggest(key, keysAt(schema(), issue.path, value));
    return `${locate(path)}: ${path.join('.')}: unknown key${hint}`;
  }
  if (issue.path.length === 0 && issue.code === 'invalid_type')
    return `${locate(issue.path)}: the file is not a job; it needs at least \`name:\` and \`model:\``;
  const hint = decimalComma(value, issue.path) || colonWithoutSpace(value, issue.path);
  return `${locate(issue.path)}: ${issue.path.join('.') || 'the file'}: ${plainly(issue.message)}${hint}`;
}

const follow = (value: unknown, path: readonly PropertyKey[]) =>
  path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | null | undefined)?.[key], value);

const isMissing = (value: unknown, path: readonly PropertyKey[]) => follow(value, path) === undefined;

/** `epochs:1` is text in YAML. */
function colonWithoutSpace(value: unknown, path: readonly PropertyKey[]): string {
  const found = follow(value, path);
  return typeof found === 'string' && /^[A-Za-z]\w*:\S/.test(found) ? '; write a space after each colon' : '';
}

/** `0,001` is text in YAML, and in braces two entries. */
function decimalComma(value: unknown, path: readonly PropertyKey[]): string {
  const [found, around] = [follow(value, path), follow(value, path.slice(0, -1))];
  if (typeof found === 'string' && /^[-+]?\d+,\d+$/.test(found)) return `; write ${found.replace(',', '.')}`;
  const isCut = Object.entries(around ?? {}).some(([key, at]) => /^\d+$/.test(key) && at === null);
  return typeof found === 'number' && isCut ? '; write decimals with a point, such as 0.001' : '';
}

const depth = (issues: readonly z.core.$ZodIssue[]) =>
  Math.max(0, ...issues.map((issue) => issue.path.length));
const lacking = (issues: readonly z.core.$ZodIssue[]) =>
  issues.filter(({ message }) => message.endsWith('received undefined')).length;

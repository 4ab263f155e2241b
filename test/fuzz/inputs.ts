/** Inputs that try to break a reader of bytes: random ones, and valid ones with a few edits. All by fast-check: seeded, shrinking. */

import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';

/** Numbers at which readers of lengths and offsets go wrong. */
const edges = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];

type Edit = (bytes: Buffer) => Buffer;

const place = fc.double({ min: 0, max: 1, noNaN: true });
const at = (bytes: Buffer, where: number) => Math.floor(where * bytes.length);

const edit: fc.Arbitrary<Edit> = fc.oneof(
  fc.tuple(place, fc.nat(7)).map(
    ([where, bit]): Edit =>
      (bytes) => {
        const out = Buffer.from(bytes);
        if (out.length > 0) out[Math.min(out.length - 1, at(out, where))]! ^= 1 << bit;
        return out;
      },
  ),
  fc.tuple(place, fc.nat(255)).map(
    ([where, value]): Edit =>
      (bytes) => {
        const out = Buffer.from(bytes);
        if (out.length > 0) out[Math.min(out.length - 1, at(out, where))] = value;
        return out;
      },
  ),
  fc.tuple(place, fc.constantFrom(...edges), fc.boolean()).map(
    ([where, value, little]): Edit =>
      (bytes) => {
        const out = Buffer.from(bytes);
        const start = Math.min(out.length - 4, at(out, where));
        if (start < 0) return out;
        if (little) out.writeUInt32LE(value, start);
        else out.writeUInt32BE(value, start);
        return out;
      },
  ),
  fc.tuple(place, place).map(
    ([from, to]): Edit =>
      (bytes) => {
        const [start, end] = [at(bytes, from), at(bytes, to)].sort((a, b) => a - b) as [number, number];
        return Buffer.concat([bytes.subarray(0, start), bytes.subarray(end)]);
      },
  ),
  fc.tuple(place, fc.uint8Array({ minLength: 1, maxLength: 16 })).map(
    ([where, more]): Edit =>
      (bytes) => {
        const start = at(bytes, where);
        return Buffer.concat([bytes.subarray(0, start), more, bytes.subarray(start)]);
      },
  ),
  fc.tuple(place, place, fc.integer({ min: 1, max: 8 })).map(
    ([from, to, times]): Edit =>
      (bytes) => {
        const [start, end] = [at(bytes, from), at(bytes, to)].sort((a, b) => a - b) as [number, number];
        const part = bytes.subarray(start, Math.min(end, start + 4096));
        return Buffer.concat([
          bytes.subarray(0, end),
          ...Array.from({ length: times }, () => part),
          bytes.subarray(end),
        ]);
      },
  ),
  place.map(
    (where): Edit =>
      (bytes) =>
        bytes.subarray(0, at(bytes, where)),
  ),
  // Digits of texts: sizes and counts.
  fc
    .tuple(place, fc.constantFrom('0', '-1', '1e308', '9007199254740993', '4294967296', 'null', '[]', '""'))
    .map(
      ([where, text]): Edit =>
        (bytes) => {
          const all = [...bytes.toString('latin1').matchAll(/\d+/g)];
          const found = all[Math.min(all.length - 1, Math.floor(where * all.length))];
          if (!found) return bytes;
          const start = found.index;
          return Buffer.concat([
            bytes.subarray(0, start),
            Buffer.from(text),
            bytes.subarray(start + found[0].length),
          ]);
        },
    ),
);

/** @param valid inputs that are taken; edited ones come close */
export function inputs(valid: readonly Buffer[]): fc.Arbitrary<Buffer> {
  const edited = fc
    .tuple(fc.nat(valid.length - 1), fc.array(edit, { minLength: 0, maxLength: 6 }))
    .map(([index, edits]) => edits.reduce((bytes, change) => change(bytes), valid[index]!));
  const random = fc.uint8Array({ maxLength: 512 }).map((bytes) => Buffer.from(bytes));
  return fc.oneof({ weight: 9, arbitrary: edited }, { weight: 1, arbitrary: random });
}

const folderOf = (target: string) => fileURLToPath(new URL(`./corpus/${target}/`, import.meta.url));

/** Inputs that once broke a target, or nearly: text files of hexadecimal digits. */
export function corpus(target: string): Buffer[] {
  try {
    const folder = folderOf(target);
    const names = readdirSync(folder).sort();
    return names.map((name) =>
      Buffer.from(readFileSync(join(folder, name), 'utf8').replace(/\s/g, ''), 'hex'),
    );
  } catch {
    return [];
  }
}

/** Adds an input to a target's corpus: it is tried first from now on. */
export function remember(target: string, bytes: Buffer): string {
  const folder = folderOf(target);
  mkdirSync(folder, { recursive: true });
  const name = `${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}.hex`;
  writeFileSync(join(folder, name), `${bytes.toString('hex').replace(/.{1,120}/g, '$&\n')}`);
  return join(folder, name);
}

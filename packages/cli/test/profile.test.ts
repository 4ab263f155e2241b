import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { expensiveLayers, joinTraces } from '../src/render/profile.ts';

const folder = mkdtempSync(join(tmpdir(), 'kasane-profile-'));
afterAll(() => rmSync(folder, { recursive: true }));

const kernel = (layer: string, pass: string, dur: number) =>
  `{"name":"matmul","cat":"kernel","ph":"X","pid":1,"tid":1,"ts":5,"dur":${dur},"args":{"layer":"${layer}","pass":"${pass}"}}`;

it('joins whole traces and such as end in the middle of a line, and adds up what layers cost', () => {
  const [whole, cut, out] = ['whole', 'cut', 'out'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(whole, `[\n${kernel('a', 'forward', 1000)},\n${kernel('a', 'backward', 3000)}]\n`);
  const other = '{"name":"samples","cat":"queue","ph":"b"}';
  writeFileSync(
    cut,
    `[\n${kernel('b', 'forward', 4000)},\n${other},\n${kernel('', 'backward', 8000)},\n{"name":"mat`,
  );
  const costs = joinTraces([whole, cut], out);
  expect(costs).toEqual([
    { layer: '', share: 0.5, forward: 0, backward: 8 },
    { layer: 'a', share: 0.25, forward: 1, backward: 3 },
    { layer: 'b', share: 0.25, forward: 4, backward: 0 },
  ]);
  const { traceEvents } = JSON.parse(readFileSync(out, 'utf8')) as { traceEvents: { name: string }[] };
  expect(traceEvents.map(({ name }) => name)).toEqual(['matmul', 'matmul', 'matmul', 'samples', 'matmul']);
  const lines = expensiveLayers([...costs, ...costs]).split('\n');
  expect(lines).toHaveLength(6);
  expect(lines[1]).toMatch(/^\(loss and sums\) +50\.0 % +0 ms +8 ms$/);
});

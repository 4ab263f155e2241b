/** `kasane layers`: every layer has a page that says all of it, fits a terminal, and ends in an example to paste. */
import { parseJobFile } from '@kasane/protocol/job-file';
import { layerNamed, layerTypeNames } from '@kasane/tensor/internal/nn/index';
import { expect, it, vi } from 'vitest';
import { layers } from '../src/commands/models/layers.ts';
import { out } from '../src/output/say.ts';

function printed(name?: string): string {
  let text = '';
  const write = vi.spyOn(out, 'write').mockImplementation((part) => {
    text += String(part);
    return true;
  });
  try {
    layers(name, {});
  } finally {
    write.mockRestore();
  }
  return text;
}

it.each(layerTypeNames)('%s has a page', (name) => {
  const text = printed(name);
  const { options, about } = layerNamed(name)!;
  for (const [option, { describe }] of Object.entries(options)) {
    expect(text).toMatch(new RegExp(`^  ${option} `, 'm'));
    expect(text.replace(/\s+/g, ' ')).toContain(describe);
  }
  const [prose, example] = text.split('\nExample:\n') as [string, string];
  const [, ...lines] = prose.split('\n');
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  const job = `name: x\nobjective: { type: regression }\n${example.replace(/^ {2}/gm, '')}`;
  expect(parseJobFile(job, 'job.yaml').spec.model).toEqual(about.example);
});

it('without a name lists all', () => {
  const text = printed();
  for (const name of layerTypeNames) expect(text).toMatch(new RegExp(`^${name} `, 'm'));
});

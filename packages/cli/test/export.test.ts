/** `kasane export`: files whose content the tensor package's own functions give, and where they go. */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errorCodes } from '@kasane/protocol/errors';
import { encodeModelFile, modelMetadata } from '@kasane/tensor/io/model-file';
import { exportOnnx } from '@kasane/tensor/io/onnx/export';
import { buildModel, initializeParameters } from '@kasane/tensor/nn/model';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { kasane } from './support/kasane.ts';

const model = buildModel({ input: [4], classes: 2, layers: [{ type: 'dense', units: 2 }] });
const parameters = initializeParameters(model, 1);
const about = { job: 'tiny', preparation: { mean: 0.5, std: 0.25, classes: ['no', 'yes'] } };
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kasane-test-'));
  writeFileSync(join(folder, 'tiny.safetensors'), encodeModelFile({ model, parameters, about }));
  mkdirSync(join(folder, 'folder.onnx'));
  writeFileSync(join(folder, 'huge.safetensors'), '');
  truncateSync(join(folder, 'huge.safetensors'), 2 ** 33);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('ONNX, beside the weights, with what the input is', { timeout: 60_000 }, async () => {
  const ended = await kasane(['export', 'tiny.safetensors', '--json'], { cwd: folder });
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  const record = JSON.parse(ended.stdout) as { file: string; bytes: number };
  expect(record).toMatchObject({ file: join(folder, 'tiny.onnx'), format: 'onnx', input: [4], output: [2] });
  const written = readFileSync(record.file);
  expect(written.length).toBe(record.bytes);
  const { format: _, ...metadata } = modelMetadata(model, about);
  const options = {
    metadata: { ...metadata, classes: '["no","yes"]' },
    description: 'tiny, trained by Kasane',
    preprocessing: '(byte / 255 - mean) / std, mean 0.5, std 0.25',
  };
  expect(new Uint8Array(written)).toEqual(await exportOnnx(model, parameters, options));
});

test('the weights themselves, to a file whose name says the format', { timeout: 60_000 }, async () => {
  const ended = await kasane(['export', 'tiny.safetensors', '-o', 'a/copy.safetensors'], { cwd: folder });
  expect(ended.stdout).toMatch(/^Wrote {4}\S+copy\.safetensors \([\d,]+ bytes\)\nSHA-256 {2}[0-9a-f]{64}\n$/);
  expect(readFileSync(join(folder, 'a/copy.safetensors'))).toEqual(
    readFileSync(join(folder, 'tiny.safetensors')),
  );
  expect(readdirSync(join(folder, 'a'))).toEqual(['copy.safetensors']);
});

test.each([
  [['tiny.safetensors', '-o', 'tiny.pb'], errorCodes.USAGE.exit, /tiny\.pb: the format is unknown/],
  [['tiny.safetensors', '--format', 'keras'], errorCodes.USAGE.exit, /onnx, safetensors/],
  [['tiny.safetensors', '-o', 'tiny.safetensors/x.onnx'], errorCodes.USAGE.exit, /cannot be written/],
  // The name of the temporary file is nobody's business.
  [
    ['tiny.safetensors', '-o', 'folder.onnx'],
    errorCodes.USAGE.exit,
    /folder\.onnx cannot be written: it is a folder\n/,
  ],
  [
    ['.'],
    errorCodes.FILE_DAMAGED.exit,
    /it is a folder; .*expected a \.safetensors file that training wrote, a job or a registered model/,
  ],
  // Nothing of what others wrote is read that no training could have written.
  [['huge.safetensors'], errorCodes.FILE_DAMAGED.exit, /8589934592 bytes; at most \d+ are supported/],
])('kasane export %s', { timeout: 60_000 }, async (args, exit, says) => {
  const ended = await kasane(['export', ...args], { cwd: folder });
  expect(ended.stderr).toMatch(says);
  expect(ended.stderr).not.toContain('.tmp');
  expect(ended.stderr).toMatch(/^kasane: [^\n]+\n$/);
  expect(ended).toMatchObject({ code: exit, stdout: '' });
});

/** What is sent of a gradient, when, and where. */

import { TaskKind } from '@kasane/protocol/gen/kasane/v1/common';
import type { TaskResult } from '@kasane/protocol/gen/kasane/v1/training';
import { bytesOf, type FrameHeader } from '@kasane/protocol/internal/wire/frame';
import { floatCodec } from '@kasane/protocol/internal/wire/rounded-floats';
import { SharedGradients } from '@kasane/protocol/internal/wire/shared-memory';
import { FRAME_PAYLOAD_BYTES } from '@kasane/protocol/limits';
import { buildModel } from '@kasane/tensor/nn/model';
import { GradientSender, type GradientSenderOptions } from '@kasane/worker/internal/job/gradient-sender';
import { OwnGradients } from '@kasane/worker/internal/job/shared-tensors';
import { pino } from 'pino';
import { expect, it } from 'vitest';

const MOST = FRAME_PAYLOAD_BYTES / 4;
const model = buildModel({
  input: [600],
  classes: 10,
  layers: [
    { type: 'dense', units: 500 },
    { type: 'dense', units: 10 },
  ],
});
const floats = model.parameterCount;
const first = 600 * 500 + 500;
const gradient = Float32Array.from({ length: floats }, (_, i) => i);
const task = { job: 'j', kind: TaskKind.TASK_KIND_TRAIN, step: 4, shard: 1, attempt: 0 };
const result = { task, samples: 3 } as TaskResult;

function opened(more: Partial<GradientSenderOptions> = {}) {
  const frames: { header: FrameHeader; payload: Uint8Array; after: readonly unknown[] }[] = [];
  const messages: unknown[] = [];
  const stream: GradientSenderOptions['stream'] = {
    send: (message) => messages.push(message),
    sendFrame: async (header, payload, ...after) => {
      frames.push({ header, payload: payload.slice(), after });
    },
  };
  const sender = new GradientSender({
    ...{
      stream,
      parameters: model.parameters,
      task,
      gradient,
      memory: undefined,
      isPast: () => false,
    },
    codec: floatCodec(model.parameters, 'f32'),
    ...more,
  });
  return { sender, frames, messages };
}

it('cuts what goes over the link into frames, and sends the result with the last', async () => {
  const { sender, frames, messages } = opened();
  sender.ready([2, 3]);
  sender.ready([0, 1]);
  expect(frames.map(({ header }) => header)).toMatchObject([{ kind: 'gradient', offset: first }]);
  await sender.end(result);
  const last = { $case: 'result', value: result };
  expect(frames.map(({ header, payload, after }) => [header, payload, after])).toMatchObject([
    [{ offset: first, step: 4, shard: 1 }, bytesOf(gradient.subarray(first)), []],
    [{ offset: 0 }, bytesOf(gradient.subarray(0, MOST)), []],
    [{ offset: MOST }, bytesOf(gradient.subarray(MOST, first)), [last]],
  ]);
  expect(messages).toEqual([]);
});

it.runIf(process.platform === 'linux')('announces a range in shared memory with one frame', async () => {
  const shared = SharedGradients.create(floats, 1)!;
  const { sender, frames } = opened({ memory: new OwnGradients(shared, pino({ level: 'silent' })) });
  sender.ready([0, 1, 2, 3]);
  expect(frames).toEqual([]);
  await sender.end(result);
  expect(frames).toMatchObject([{ header: { kind: 'sharedGradient', offset: 0, floats, place: 0 } }]);
  const into = new Float32Array(floats);
  shared.places[0]!.read(0, into);
  expect(into).toEqual(gradient);
  shared.close();
});

it('sends nothing of a step that is over, and of an evaluation the result alone', async () => {
  const past = opened({ isPast: () => true });
  past.sender.ready([0, 1, 2, 3]);
  await past.sender.end(result);
  expect([past.frames, past.messages]).toEqual([[], []]);
  const { sender, frames, messages } = opened();
  await sender.end(result);
  expect([frames, messages]).toEqual([[], [{ $case: 'result', value: result }]]);
});

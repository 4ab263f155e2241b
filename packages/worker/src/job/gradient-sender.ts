/**
 * Sends a task's gradient while the rest of it is still being computed: through shared memory if there is room, otherwise over the link.
 */

import type { TaskId, TaskResult } from '@kasane/protocol/gen/kasane/v1/training';
import type { PartLayout, PartRange } from '@kasane/protocol/internal/wire/parts';
import type { FloatCodec } from '@kasane/protocol/internal/wire/rounded-floats';
import { FRAME_PAYLOAD_BYTES } from '@kasane/protocol/limits';
import { BLOCK } from '@kasane/tensor/internal/optim/rounding';
import type { ParameterSpec } from '@kasane/tensor/nn/model';
import type { CoordinatorStream } from '../connection/stream.ts';
import type { PartExchange } from '../peers/part-exchange.ts';
import { rangesOf } from './ranges.ts';
import type { OwnGradients } from './shared-tensors.ts';

export interface GradientSenderOptions {
  readonly stream: Pick<CoordinatorStream, 'send' | 'sendFrame'>;
  /** Layout of the gradient. */
  readonly parameters: readonly ParameterSpec[];
  readonly task: TaskId;
  /** Flat layout; final values are sent. */
  readonly gradient: Float32Array;
  readonly memory: OwnGradients | undefined;
  /** Encoding on a link. */
  readonly codec: FloatCodec;
  /** Sends the gradient to the owners of its parts. Default: to the coordinator. */
  readonly parts?: { readonly layout: PartLayout; readonly exchange: Pick<PartExchange, 'send'> } | undefined;
  /** Whether the task's step is over: nobody needs the rest, and its memory may already hold a later gradient. */
  readonly isPast: () => boolean;
}

type Message = Parameters<CoordinatorStream['send']>[0];

export class GradientSender {
  readonly #options: GradientSenderOptions;
  readonly #sent: Promise<void>[] = [];
  #final = 0;
  /** Sent together with the result. */
  #last: readonly PartRange[] = [];

  constructor(options: GradientSenderOptions) {
    this.#options = options;
  }

  /** The gradients of these parameters, by index, are final. Call once per parameter. */
  ready(some: readonly number[]): void {
    const { parameters } = this.#options;
    this.#final += some.length;
    const ranges = rangesOf(parameters, some);
    if (this.#final === parameters.length) this.#last = ranges;
    else for (const range of ranges) this.#send(range);
  }

  /** Sends the rest and the result. Resolves when there is room for more. */
  async end(value: TaskResult): Promise<void> {
    const result = {
      $case: 'result',
      value: { ...value, layout: this.#options.parts?.layout.number },
    } as const;
    const end = this.#last.at(-1);
    for (const range of this.#last.slice(0, -1)) this.#send(range);
    if (end) this.#send(end, result);
    else this.#options.stream.send(result);
    await Promise.all(this.#sent);
  }

  #send({ start, end }: PartRange, ...after: Message[]): void {
    const { stream, task, gradient, memory, isPast, parts, codec } = this.#options;
    if (isPast()) return;
    if (parts) {
      this.#sent.push(parts.exchange.send(parts.layout, task, gradient, start, end));
      for (const message of after) stream.send(message);
      return;
    }
    const { job, step, shard, attempt } = task;
    const header = { job, step, shard, attempt, partition: 0, offset: start };
    const place = memory?.put(step, shard, start, gradient.subarray(start, end));
    if (place !== undefined) {
      const shared = { kind: 'sharedGradient', ...header, floats: end - start, place } as const;
      this.#sent.push(stream.sendFrame(shared, new Uint8Array(0), ...after));
      return;
    }
    const most = FRAME_PAYLOAD_BYTES / 4;
    for (let offset = start; offset < end; ) {
      // Frames end at block boundaries.
      const next = Math.min(end, offset - (offset % BLOCK) + most);
      const part = codec.encode(gradient.subarray(offset, next), offset);
      this.#sent.push(
        stream.sendFrame({ kind: 'gradient', ...header, offset }, part, ...(next === end ? after : [])),
      );
      offset = next;
    }
  }
}

/** A thread that computes a row's gradients each time it is told to. */
import { workerData } from 'node:worker_threads';
import { enableRevectorization } from '@kasane/tensor/internal/node/v8-flags';
import { rows } from '../rows.ts';
import { openGradients } from './gradients.ts';

const { name, batch, control, go, done } = workerData as {
  name: string;
  batch: number;
  control: SharedArrayBuffer;
  go: number;
  done: number;
};
enableRevectorization();
const words = new Int32Array(control);
const { run } = await openGradients({ ...rows.find((row) => row.name === name)!, batch });
for (let seen = 0; ; seen++) {
  Atomics.wait(words, go, seen);
  run();
  Atomics.add(words, done, 1);
  Atomics.notify(words, done);
}

/** Code over a memory, ready to run: by one thread, or by several that wait for each other in it. */
import type { Encoded } from './compile.ts';
import { GIVEN_UP, PASSED, WAITING } from './cut.ts';
import { runGuarded } from './fault.ts';
import type { Helpers } from './helpers.ts';

export interface Code {
  readonly memory: ArrayBufferLike;
  /** @throws IndexError or LabelError where input can not be taken */
  readonly stages: readonly (() => void)[];
  readonly close: () => void;
}

/** @param helpers who runs it too, where it was compiled for several threads */
export async function startCode(
  { bytes, barrier, together }: Encoded,
  memory: WebAssembly.Memory,
  helpers: Helpers | undefined,
): Promise<Code> {
  const module = await WebAssembly.compile(bytes);
  const { exports } = await WebAssembly.instantiate(module, { env: { memory, thread: 0 } });
  const { buffer } = memory;
  const known = together.includes(true) ? helpers?.open(module, memory, barrier) : undefined;
  const stages = together.map((several, index) => {
    const stage = exports[`stage${index}`] as () => void;
    if (!several) return () => runGuarded(stage, buffer);
    return () => {
      helpers!.start(known!, index);
      try {
        runGuarded(stage, buffer);
      } catch (error) {
        giveUp(buffer, barrier, helpers!);
        throw error;
      }
    };
  });
  return {
    memory: buffer,
    stages,
    close: () => {
      if (known !== undefined) helpers!.close(known);
    },
  };
}

/** Releases the threads that wait for this one, which will not come, and waits until they are gone. */
function giveUp(memory: ArrayBufferLike, barrier: number, helpers: Helpers): void {
  const words = new Int32Array(memory);
  const at = (offset: number) => (barrier + offset) / 4;
  Atomics.store(words, at(GIVEN_UP), 1);
  Atomics.add(words, at(PASSED), 1);
  Atomics.notify(words, at(PASSED));
  helpers.left();
  Atomics.store(words, at(WAITING), 0);
  Atomics.store(words, at(GIVEN_UP), 0);
}

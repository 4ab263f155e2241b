/** What the kernels of convolutions share: the functions that compute blocks of matrix products. */
import { FunctionBuilder, type Local } from '../../assembler.ts';
import { type OwnAddress, ownAddress, pushAddress } from './address.ts';
import type { Team } from './cut.ts';
import type { KernelName } from './gemm.ts';
import { type Block, BlockEmitter, type TileShape } from './gemm-block.ts';

export interface ConvolutionContext {
  readonly kernel: KernelName;
  /** What every step may overwrite. */
  readonly scratch: OwnAddress;
  /** Address of what belongs to this step while it runs. */
  readonly workspace: number;
  /** Adds a function that several steps call; made once for each key. */
  readonly shared: (key: string, build: () => FunctionBuilder) => number;
  /** Adds a function that this step calls. */
  readonly add: (f: FunctionBuilder) => number;
  /** The threads that all run this step; undefined where one does. */
  readonly team: Team | undefined;
}

type Distances<T> = T extends unknown ? Omit<T, 'base'> : never;
interface SharedBlock extends Omit<Block, 'a' | 'b' | 'c'> {
  readonly a: Distances<Block['a']>;
  readonly b: Distances<Block['b']>;
}

/** Calls the function that computes such a block; `push` puts the addresses of A, B and C on the stack. */
export type BlockCaller = (tile: TileShape, block: SharedBlock, push: () => void) => void;

export const blockCaller =
  (f: FunctionBuilder, { shared, scratch }: ConvolutionContext): BlockCaller =>
  (tile, block, push) => {
    const index = shared(`block ${JSON.stringify([tile, block])}`, () => {
      const own = new FunctionBuilder(['i32', 'i32', 'i32', 'i32']);
      const [a, b, c, free] = [0, 1, 2, 3].map((i) => own.parameter(i)) as [Local, Local, Local, Local];
      const placed = { ...block, a: { ...block.a, base: a }, b: { ...block.b, base: b }, c };
      new BlockEmitter(own, tile, free).emit(placed);
      return own;
    });
    push();
    pushAddress(f, ownAddress(f, scratch)).call(index);
  };

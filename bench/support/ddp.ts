/** PyTorch's training steps, on one process or on several under DistributedDataParallel: bench/peers/ddp.py has its side. */
import type { Peer } from './peers.ts';

export const ddpScripts = { PyTorch: { script: 'ddp.py' } };

export interface PeerSteps {
  /** Milliseconds of each step. */
  readonly times: readonly number[];
  /** CPU milliseconds of a step, of all processes. */
  readonly cpu: number;
}

/** @param row of bench/rows.ts, whose batch the processes share */
export const peerSteps = (peer: Peer, row: string, processes: number, steps: number) =>
  peer.ask([row, processes], steps) as Promise<PeerSteps | undefined>;

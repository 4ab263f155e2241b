/** The states of sweeps. */
import { SweepState } from '../gen/kasane/v1/sweeps.ts';

/** As users read and write them. */
export const sweepStates: Readonly<Record<SweepState, string>> = {
  [SweepState.SWEEP_STATE_UNSPECIFIED]: 'unknown',
  [SweepState.SWEEP_STATE_RUNNING]: 'running',
  [SweepState.SWEEP_STATE_SUCCEEDED]: 'succeeded',
  [SweepState.SWEEP_STATE_FAILED]: 'failed',
  [SweepState.SWEEP_STATE_CANCELLED]: 'cancelled',
  [SweepState.UNRECOGNIZED]: 'unknown',
};

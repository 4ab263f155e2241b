/** A sweep of thousands of trials that has ended, as a coordinator would leave it; nothing was trained. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { JobStore } from '@kasane/coordinator/internal/store/store';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import { SweepState } from '@kasane/protocol/gen/kasane/v1/sweeps';
import { checkSweep, jobOfTrial } from '@kasane/protocol/internal/job/job-search';
import { checkJob } from '@kasane/protocol/job';
import { keyOfSeed, philox4x32, unitInterval } from '@kasane/tensor/random';

export const LARGE_SWEEP = 'large-1';
const EPOCHS = 9;

/** A number in [0, 1) for a trial, a different one for each purpose. */
const unit = (trial: number, purpose: number): number =>
  unitInterval(philox4x32([trial, purpose, 0, 0], keyOfSeed(1))[0]);

/** Fills the database of a state directory that no coordinator has open. @returns the values of the trials, by their numbers */
export function writeLargeSweep(state: string, trials: number): readonly number[] {
  new JobStore(state).close();
  const sweep = checkSweep({
    name: 'large',
    model: {
      input: [784],
      classes: 10,
      layers: [{ type: 'dense', units: 64 }, { type: 'relu' }, { type: 'dense', units: 10 }],
    },
    training: { epochs: EPOCHS, batch: 64 },
    search: {
      metric: 'testAccuracy',
      trials,
      parameters: {
        'training.optimizer.type': { choices: ['sgd', 'adam'] },
        'training.optimizer.momentum': {
          uniform: [0, 0.99],
          when: { 'training.optimizer.type': 'sgd' },
        },
        'training.learningRate': { log: [0.0001, 0.1] },
        'training.batch': { choices: [64, 128, 256] },
        'model.layers.0.units': { integers: [32, 256], step: 32 },
      },
    },
  });
  const file = new DatabaseSync(join(state, 'kasane.sqlite'));
  const decision = file.prepare(
    'INSERT INTO decisions (sweep, number, kind, trial, epochs, assignment, outcome, error) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
  );
  const job = file.prepare(
    'INSERT INTO jobs (id, name, spec, state, submittedAt, startedAt, endedAt, step, steps, sweep, trial, workers) VALUES (?, ?, ?, ?, ?, ?, ?, 9, 9, ?, ?, 2)',
  );
  const epoch = file.prepare(
    'INSERT INTO epochs (job, epoch, trainLoss, trainAccuracy, testLoss, testAccuracy, seconds) VALUES (?, ?, ?, ?, ?, ?, 0.5)',
  );
  const values: number[] = [];
  file.exec('BEGIN');
  file
    .prepare(
      'INSERT INTO sweeps (id, name, spec, priority, state, submittedAt, endedAt) VALUES (?, ?, ?, 0, ?, ?, ?)',
    )
    .run(LARGE_SWEEP, 'large', JSON.stringify(sweep), SweepState.SWEEP_STATE_SUCCEEDED, 1e6, 9e6);
  for (let index = 0; index < trials; index++) {
    const isSgd = unit(index, 0) < 0.5;
    const rate = Number((10 ** (-4 + 3 * unit(index, 1))).toPrecision(6));
    const assignment = {
      'training.optimizer.type': isSgd ? 'sgd' : 'adam',
      ...(isSgd && { 'training.optimizer.momentum': Number((0.99 * unit(index, 2)).toPrecision(6)) }),
      'training.learningRate': rate,
      'training.batch': [64, 128, 256][Math.floor(3 * unit(index, 3))]!,
      'model.layers.0.units': 32 * (1 + Math.floor(8 * unit(index, 4))),
    };
    const best = isSgd ? -1.5 : -2.7;
    const value =
      0.965 -
      0.06 * (Math.log10(rate) - best) ** 2 +
      0.00006 * assignment['model.layers.0.units'] -
      0.002 * unit(index, 5);
    values.push(value);
    const id = `${LARGE_SWEEP}-${index + 1}`;
    decision.run(LARGE_SWEEP, index, 'start', index, EPOCHS, JSON.stringify(assignment), value, '');
    const { spec } = checkJob(jobOfTrial(sweep.base, assignment));
    const at = 1e6 + 1000 * index;
    job.run(
      id,
      'large',
      JSON.stringify(spec),
      JobState.JOB_STATE_SUCCEEDED,
      at,
      at,
      at + 1000 + 4000 * unit(index, 6),
      LARGE_SWEEP,
      index + 1,
    );
    for (let number = 1; number <= EPOCHS; number++) {
      const accuracy = value - 0.2 * Math.exp(-number / (1 + 2 * unit(index, 7)));
      const loss = 0.05 + (1 - accuracy) * 2;
      epoch.run(id, number, loss * 0.8, accuracy + 0.005, loss, number === EPOCHS ? value : accuracy);
    }
  }
  file.exec('COMMIT');
  file.close();
  return values;
}

/** The confusion matrix of an epoch's test, as it is stored. */
import { classNamesOf, type Preparation } from '@kasane/data/dataset';
import type { Job } from '@kasane/protocol/job';
import { confusionOf, type Tally } from '@kasane/tensor/internal/tally';
import { sizeOf } from '@kasane/tensor/shape';
import type { ConfusionRecord } from '../store/confusions.ts';

/** @returns undefined if there is none: only classifiers with few enough classes have one */
export function confusionRecord(
  { model, objective }: Pick<Job, 'model' | 'objective'>,
  preparation: Preparation,
  tally: Tally,
  epoch: number,
): ConfusionRecord | undefined {
  const count = sizeOf(model.outputShape);
  const rows = objective.type === 'classification' ? confusionOf(tally, count) : undefined;
  const names = classNamesOf(preparation);
  return (
    rows && {
      epoch,
      classes: Array.from({ length: count }, (_, index) => names?.[index] ?? String(index)),
      counts: rows.flat(),
    }
  );
}

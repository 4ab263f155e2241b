import { sessionBytes } from '@kasane/coordinator/internal/model-backend';
import { mostBytes } from '@kasane/coordinator/internal/submit/memory';
import { buildModel, type ModelDescription } from '@kasane/tensor/nn/model';
import type { ProgramRequest } from '@kasane/tensor/training';
import { expect, test } from 'vitest';

const dense = (units: number) => ({ type: 'dense', units }) as const;
const models: Readonly<Record<string, ModelDescription>> = {
  small: { input: [784], classes: 10, layers: [dense(128), { type: 'relu' }, dense(10)] },
  wide: { input: [10], classes: 10, layers: [dense(1024), dense(1024), dense(10)] },
  narrow: { input: [20_000], classes: 10, layers: [dense(1), dense(10)] },
  deep: { input: [64], classes: 10, layers: [...Array.from({ length: 20 }, () => dense(64)), dense(10)] },
  steps: { input: [50, 8], classes: 10, layers: [dense(64), { type: 'flatten' }, dense(10)] },
};

test.each(Object.entries(models))('a model that is %s takes no more than is expected', (_, description) => {
  const model = buildModel(description);
  const objective = { type: 'classification' } as const;
  for (const samples of [1, 33, 500]) {
    const requests: ProgramRequest[] = [
      { mode: 'train', samples, objective, mixed: true },
      { mode: 'evaluate', samples, objective },
    ];
    expect(sessionBytes(model, requests), `${samples} samples`).toBeLessThan(mostBytes(model, samples));
  }
});

/** When the coordinator sends part of each version: a matter of rates and numbers, which stand here in place of links. */
import { expect, it } from 'vitest';
import type { PeerMesh } from '../src/peers/mesh.ts';
import { OwnerChoice } from '../src/peers/owner-choice.ts';
import type { ConnectedWorker } from '../src/workers.ts';

const isRelaying = (owners: number, { rate = 1.2e7, own = 1.2e7, floats = 1e7, others = 0 } = {}) => {
  const ids = Array.from({ length: owners + others }, (_, index) => `w${index}`);
  const choice = new OwnerChoice({
    ...{ id: 'job', mode: 'auto', floats, isNear: () => false },
    mesh: { rateOf: () => rate, ownRateOf: () => own } as unknown as PeerMesh,
  });
  const taking = ids.map((id) => ({ id }) as ConnectedWorker);
  return choice.isRelaying(ids.slice(0, owners), taking);
};

it.each([
  ['two owners on slow links', 2, {}, true],
  ['four', 4, {}, true],
  ['five', 5, {}, false],
  ['fast links', 2, { rate: 1e8, own: 1e8 }, false],
  ['a coordinator whose rate is not known', 2, { own: 0 }, false],
  ['one whose link is half as fast', 2, { own: 6e6 }, false],
  ['a worker that is sent whole versions', 2, { others: 1 }, false],
  ['more parameters than are held twice', 2, { floats: 2 ** 26 }, false],
] as const)('%s', (_, owners, options, wanted) => expect(isRelaying(owners, options)).toBe(wanted));

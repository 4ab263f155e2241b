/** Who is asked to listen, who dials whom, and what becomes of links that break. */
import type { Peer } from '@kasane/protocol/gen/kasane/v1/training';
import { expect, it, vi } from 'vitest';
import { PeerMesh } from '../src/peers/mesh.ts';
import type { ConnectedWorker } from '../src/workers.ts';

/** A worker, and what it was told. */
function workerOf(id: string, address = '10.0.0.9') {
  const told: Parameters<ConnectedWorker['send']>[0][] = [];
  const rates: ((bytesPerSecond: number) => void)[] = [];
  const worker = {
    id,
    address,
    send: (message) => told.push(message),
    probe: (onRate) => rates.push(onRate),
  } as Partial<ConnectedWorker> as ConnectedWorker;
  const peers = (): Peer[] => {
    const last = told.findLast((message) => message.$case === 'peers');
    return last?.$case === 'peers' ? last.value.peers : [];
  };
  return { worker, told, peers, rates };
}

/** Three workers that listen. */
function opened() {
  const mesh = new PeerMesh();
  const workers = ['a', 'b', 'c'].map((id, index) => workerOf(id, `10.0.0.${index + 1}`));
  mesh.want(workers.map(({ worker }) => worker));
  for (const [index, { worker, rates }] of workers.entries()) {
    mesh.opened(worker, `10.0.0.${index + 1}:4000`, '');
    rates[0]!(1e8 + index);
  }
  return { mesh, workers };
}
const reach = (mesh: PeerMesh, pairs: readonly (readonly [string, string])[]) => {
  for (const [a, b] of pairs) mesh.reached(a, b, true, 1e8, '');
};

it('asks each worker once to listen, and gives each two a key, one of whom dials', () => {
  const { mesh, workers } = opened();
  mesh.want(workers.map(({ worker }) => worker));
  for (const { told } of workers) expect(told.filter(({ $case }) => $case === 'openPeers')).toHaveLength(1);
  const [a, b, c] = workers.map(({ peers }) => peers());
  expect(a!.map(({ worker, address, dials }) => [worker, address, dials])).toEqual([
    ['b', '10.0.0.2:4000', true],
    ['c', '10.0.0.3:4000', true],
  ]);
  expect(c!.every(({ dials }) => !dials)).toBe(true);
  const keyOf = (peers: readonly Peer[] | undefined, worker: string) =>
    Buffer.from(peers!.find((peer) => peer.worker === worker)!.key).toString('hex');
  expect(keyOf(a, 'b')).toBe(keyOf(b, 'a'));
  expect(new Set([keyOf(a, 'b'), keyOf(a, 'c'), keyOf(b, 'c')]).size).toBe(3);
});

it('measures the link of each worker that listens once, and waits for it', () => {
  const mesh = new PeerMesh();
  const { worker, rates } = workerOf('a', '10.0.0.1');
  const other = workerOf('b', '10.0.0.2');
  mesh.want([worker, other.worker]);
  mesh.opened(other.worker, '', 'it was started with --no-peers');
  mesh.opened(worker, '10.0.0.1:4000', '');
  mesh.opened(worker, '10.0.0.1:4001', '');
  expect([rates.length, other.rates.length]).toEqual([1, 0]);
  expect([mesh.isTrying(['a', 'b']), mesh.ownRateOf(['a'])]).toEqual([true, 0]);
  rates[0]!(1e7);
  expect([mesh.isTrying(['a', 'b']), mesh.ownRateOf(['a'])]).toEqual([false, 1e7]);
  mesh.left('a');
  expect(mesh.ownRateOf(['a'])).toBe(0);
});

it('knows who reaches whom once all have answered', () => {
  const { mesh } = opened();
  const all = ['a', 'b', 'c'];
  expect(mesh.isTrying(all)).toBe(true);
  expect(mesh.closest(all)).toHaveLength(1);
  reach(mesh, [
    ['a', 'b'],
    ['a', 'c'],
    ['b', 'c'],
  ]);
  expect(mesh.isTrying(all)).toBe(false);
  expect(mesh.closest(all)).toEqual(all);
});

it('waits for nobody for ever', () => {
  const { mesh } = opened();
  expect(mesh.isTrying(['a', 'b', 'c'], performance.now() + 60_000)).toBe(false);
});

it('tells of a link that breaks, and tries it again with another key after a while', () => {
  const { mesh, workers } = opened();
  reach(mesh, [
    ['a', 'b'],
    ['a', 'c'],
    ['b', 'c'],
  ]);
  const hear = vi.fn();
  const end = mesh.onBroken(hear);
  const before = workers[0]!.peers();
  mesh.reached('a', 'b', false, 0, 'reset');
  expect(hear).toHaveBeenCalledExactlyOnceWith('a', 'b');
  expect(mesh.closest(['a', 'b', 'c'])).toHaveLength(2);
  expect(mesh.whyNot('b')).toBe('reset');
  mesh.want(
    workers.map(({ worker }) => worker),
    performance.now() + 1000,
  );
  expect(workers[0]!.peers()).toBe(before);
  mesh.want(
    workers.map(({ worker }) => worker),
    performance.now() + 60_000,
  );
  const again = workers[0]!.peers().find(({ worker }) => worker === 'b');
  expect(again?.key).not.toEqual(before.find(({ worker }) => worker === 'b')?.key);
  end();
  mesh.reached('a', 'b', false, 0, 'reset');
  expect(hear).toHaveBeenCalledOnce();
});

it('forgets a worker that has left, and asks it again when it is back', () => {
  const { mesh } = opened();
  reach(mesh, [
    ['a', 'b'],
    ['a', 'c'],
    ['b', 'c'],
  ]);
  mesh.left('b');
  expect(mesh.closest(['a', 'b', 'c'])).toEqual(['a', 'c']);
  const back = workerOf('b');
  mesh.want([back.worker]);
  expect(back.told.map(({ $case }) => $case)).toEqual(['openPeers']);
});

it.each(['', 'nonsense', 'http://10.0.0.9:1'])('dials no address such as %o', (address) => {
  const { mesh, workers } = opened();
  const other = workerOf('d');
  mesh.want([other.worker]);
  mesh.opened(other.worker, address, 'a firewall');
  expect(workers[0]!.peers().map(({ worker }) => worker)).toEqual(['b', 'c']);
  expect(mesh.whyNot('d')).toBe(address === '' ? 'a firewall' : 'its address is not HOST:PORT');
});

it('has nobody dial a host that a worker only names, unless both are behind one NAT', () => {
  const { mesh, workers } = opened();
  const rogue = workerOf('d', '10.0.0.4');
  mesh.want([rogue.worker]);
  mesh.opened(rogue.worker, '10.0.0.20:8080', '');
  for (const { peers } of workers) expect(peers().map(({ worker }) => worker)).not.toContain('d');
  expect(mesh.whyNot('d')).toBe(
    'it listens at 10.0.0.20:8080, but is connected from 10.0.0.4, as through NAT',
  );
  const behind = ['x', 'y'].map((id) => workerOf(id, '203.0.113.7'));
  mesh.want(behind.map(({ worker }) => worker));
  for (const [index, { worker }] of behind.entries()) mesh.opened(worker, `192.168.0.${index + 1}:4000`, '');
  // They are dialled by each other, and nobody else dials them.
  expect(behind[0]!.peers().map(({ worker, dials }) => [worker, dials])).toContainEqual(['y', true]);
  expect(workers[0]!.peers().map(({ worker }) => worker)).not.toContain('x');
});

it.each([
  '169.254.169.254:80',
  '127.0.0.2:6379',
  '198.51.100.9:443',
  '[fe80::1]:80',
  '[::1]:80',
  '[::ffff:169.254.169.254]:80',
  'metadata.internal:80',
  'localhost:22',
])('has nobody dial %s, which is not of the network behind a NAT', (address) => {
  const mesh = new PeerMesh();
  const [x, y] = ['x', 'y'].map((id) => workerOf(id, '203.0.113.7'));
  mesh.want([x!.worker, y!.worker]);
  mesh.opened(x!.worker, '192.168.0.1:4000', '');
  mesh.opened(y!.worker, address, '');
  expect(x!.peers()).toEqual([]);
});

it('has nobody dial where a worker that is linked says later that it listens', () => {
  const { mesh, workers } = opened();
  const [a, , c] = workers;
  reach(mesh, [['a', 'c']]);
  mesh.opened(c!.worker, '169.254.169.254:80', '');
  mesh.reached('a', 'b', false, 0, 'broken');
  mesh.want([a!.worker], performance.now() + 60_000);
  expect(a!.peers().map(({ address }) => address)).toEqual(['10.0.0.2:4000']);
  expect(mesh.closest(['a', 'c'])).toHaveLength(1);
});

it('hears where a worker listens once: who says so again and again makes nobody dial', () => {
  const { mesh, workers } = opened();
  const [a, , c] = workers;
  const before = a!.told.length;
  for (let times = 0; times < 10; times++) mesh.opened(c!.worker, '10.0.0.3:4000', '');
  expect(a!.told).toHaveLength(before);
});

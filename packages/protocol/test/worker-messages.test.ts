/** Every field of every message that workers send: what an honest worker says is taken, anything else is refused by name. */
import { describe, expect, it } from 'vitest';
import { type TaskId, WorkerMessage as Wire, type WorkerMessage } from '../src/gen/kasane/v1/training.ts';
import {
  checkWorkerMessage,
  type FieldRule,
  type PartRules,
  workerMessages,
} from '../src/grpc/worker-messages.ts';

type Said = NonNullable<WorkerMessage['message']>;
const task: TaskId = { job: 'mnist-1', kind: 1, step: 0, shard: 1, attempt: 1 };
const times = {
  computeMs: 1.5,
  samplesMs: 0,
  slotMs: 0,
  sentAt: 1.8e12,
  testCounts: [4, 2],
  testSums: [1.5],
};
/** One honest message of each kind: typed, so that a new one has to be added. */
const honest: { readonly [S in Said as S['$case']]: S['value'] } = {
  hello: {
    worker: 'w.1:a',
    host: 'here',
    slots: 1,
    backend: 'wasm 5x16',
    protocol: 10,
    session: new Uint8Array(16),
  },
  heartbeat: { busy: 0, waiting: 3 },
  claim: { task },
  roundProgress: { task, steps: 3 },
  result: { task, samples: 1, lossSum: Number.NaN, metricSum: 0, counted: 0, samplesDigest: 9, ...times },
  failure: { task, reason: 3, message: 'line 1\nline 2' },
  drain: {},
  memoryOpened: { job: 'mnist-1' },
  dataReach: { job: 'mnist-1', able: true, why: '' },
  jobRefused: { job: 'mnist-1', why: 'too large' },
  versionMissing: { job: 'mnist-1', version: 3 },
  redisWritten: { nonce: new Uint8Array(16), redis: 'localhost:6379' },
  peersOpened: { address: '10.0.0.2:40000', why: '' },
  peerReach: { worker: 'w.2', able: true, bytesPerSecond: 1e8, why: '' },
};

const extremes = [
  ...[Number.NaN, Infinity, -Infinity, -1, -0, 0.5, 2 ** 31, 2 ** 32, 2 ** 53, 1e308, -1e308],
  ...['', 'x'.repeat(5000), '\u001b[31m', '__proto__', undefined, null, [], {}, true, new Uint8Array(1)],
];

interface Field {
  readonly said: Said['$case'];
  readonly path: readonly string[];
  readonly rule: FieldRule;
}
const fieldsOf = (
  said: Said['$case'],
  rules: Readonly<Record<string, FieldRule | PartRules>>,
  path: readonly string[] = [],
): Field[] =>
  Object.entries(rules).flatMap(([name, rule]) =>
    'part' in rule ? fieldsOf(said, rule.part, [...path, name]) : [{ said, path: [...path, name], rule }],
  );
const fields = Object.entries(workerMessages).flatMap(([said, rules]) =>
  fieldsOf(said as Said['$case'], rules),
);

/** The honest message with one field changed. */
function changed({ said, path }: Field, value: unknown): Said {
  const message = structuredClone(honest[said]) as Record<string, unknown>;
  let at = message;
  for (const name of path.slice(0, -1)) at = at[name] as Record<string, unknown>;
  at[path.at(-1)!] = value;
  return { $case: said, value: message } as unknown as Said;
}

describe('messages of workers', () => {
  it.each(Object.keys(honest) as Said['$case'][])('%s: an honest one is taken, as it travels', (said) => {
    const message = { $case: said, value: honest[said] } as Said;
    checkWorkerMessage(message);
    checkWorkerMessage(Wire.decode(Wire.encode({ message }).finish()).message!);
  });

  it.each(fields.map((field) => [`${field.said}.${field.path.join('.')}`, field] as const))(
    '%s: extreme values are refused by name, or allowed by the table',
    (name, field) => {
      for (const value of extremes) {
        const check = () => checkWorkerMessage(changed(field, value));
        if (field.rule.allows(value)) check();
        else expect(check, String(value)).toThrow(`${name} is `);
      }
    },
  );

  it('no number outside of a sum may be infinite, negative or no number', () => {
    const numbers = fields.filter(
      ({ rule, path }) => rule.allows(1) && !['lossSum', 'metricSum'].includes(path[0]!),
    );
    expect(numbers.length).toBeGreaterThan(15);
    for (const { rule } of numbers)
      for (const value of [Number.NaN, Infinity, -1]) expect(rule.allows(value)).toBe(false);
  });

  it('a message without its task is refused', () => {
    for (const said of ['claim', 'result', 'failure'] as const) {
      const value = { ...honest[said], task: undefined };
      expect(() => checkWorkerMessage({ $case: said, value } as Said)).toThrow(`${said}.task is missing`);
    }
  });
});

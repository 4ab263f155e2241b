/** Who may call what, how often, and what of it is logged: without a network. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { scopes } from '@kasane/protocol/scopes';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Gate, type GateOptions } from '../src/serve/gate.ts';
import { RateLimit } from '../src/serve/rate-limit.ts';
import { RefusalLog } from '../src/serve/refusals.ts';
import { TokenStore } from '../src/store/tokens.ts';

const LIST = '/kasane.v1.Jobs/List';
const SUBMIT = '/kasane.v1.Jobs/Submit';
let directory: string;
let tokens: TokenStore;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kasane-tokens-'));
  tokens = new TokenStore(directory);
});
afterEach(() => {
  tokens.close();
  rmSync(directory, { recursive: true });
});

const gate = (options: Partial<GateOptions> = {}) =>
  new Gate({ tokens, known: [], open: false, requestsPerSecond: 1000, ...options });

describe('TokenStore', () => {
  it('keeps digests, not tokens, and tells who is who again later', () => {
    const { token, ...record } = tokens.create({ name: 'ci', scopes: ['submit', 'read', 'read'] }, 5);
    expect(record).toMatchObject({ scopes: ['read', 'submit'], createdAt: 5, expiresAt: 0, revokedAt: 0 });
    const later = new TokenStore(directory);
    expect(later.find(token)).toEqual(record);
    later.close();
    tokens.close();
    expect(readFileSync(join(directory, 'kasane.sqlite')).includes(token.slice(17))).toBe(false);
    tokens = new TokenStore(directory);
  });

  it('takes no token that is changed, revoked or expired', () => {
    const { token, id } = tokens.create({ name: 'a', scopes: ['read'], expiresAt: 100 }, 0);
    expect(tokens.find(token, 99)).toMatchObject({ id });
    expect(tokens.find(token, 100)).toEqual({ refused: `the token ${id} has expired` });
    const changed = token.slice(0, -1) + (token.endsWith('A') ? 'B' : 'A');
    for (const wrong of [changed, `${token}A`, token.slice(1), '', id, `ksn_${id}_`, "ksn_' OR 1=1 --"])
      expect(tokens.find(wrong, 99)).toEqual({ refused: 'the token is unknown to this coordinator' });
    expect(tokens.any).toBe(true);
    tokens.revoke('a');
    expect(tokens.any).toBe(false);
    expect(tokens.find(token, 99)).toEqual({ refused: `the token ${id} is revoked` });
    expect(() => tokens.revoke('a')).toThrow(/no token that can be revoked has the id or name 'a'/);
  });

  it('revokes by name only where that is one', () => {
    const [first] = [
      tokens.create({ name: 'x', scopes: ['read'] }),
      tokens.create({ name: 'x', scopes: ['read'] }),
    ];
    expect(() => tokens.revoke('x')).toThrow(/2 tokens that can be revoked have/);
    tokens.revoke(first.id);
    expect(tokens.revoke('x').revokedAt).toBeGreaterThan(0);
  });
});

describe('Gate', () => {
  it('lets everybody in on loopback, where nobody has asked for tokens, but only into what it knows', () => {
    const open = gate({ open: true });
    expect(open.judge(SUBMIT, '')).toBeUndefined();
    expect(open.judge('/kasane.v1.Jobs/Later', '')).toMatchObject({ code: 'SCOPE' });
  });

  it('takes the shared token for everything, and this process’ own for what the page does', () => {
    const known = [
      { id: 'shared', token: 'everybody', scopes: ['admin'] },
      { id: 'own', token: 'page', scopes: ['submit'] },
    ] as const;
    const closed = gate({ known });
    expect(closed.judge('/kasane.v1.Training/Connect', 'Bearer everybody')).toBeUndefined();
    expect(closed.judge('/kasane.v1.Training/Connect', 'Bearer page')).toMatchObject({ code: 'SCOPE' });
    expect(closed.judge(SUBMIT, 'Bearer page')).toBeUndefined();
    expect(closed.judge(SUBMIT, 'everybody')).toMatchObject({ code: 'NOT_ALLOWED' });
    expect(closed.still(SUBMIT, 'Bearer nobody')).toMatchObject({ code: 'NOT_ALLOWED' });
  });

  it('counts calls by token: one that asks too often does not slow another', () => {
    const [one, other] = [
      tokens.create({ name: 'one', scopes: ['read'] }),
      tokens.create({ name: 'other', scopes }),
    ];
    const limited = gate({ requestsPerSecond: 3 });
    const ask = (token: string, now: number) => limited.judge(LIST, `Bearer ${token}`, now)?.code;
    expect([0, 0, 0, 0].map((now) => ask(one.token, now))).toEqual([
      undefined,
      undefined,
      undefined,
      'LIMIT',
    ]);
    expect(ask(other.token, 0)).toBeUndefined();
    expect(ask(one.token, 334)).toBeUndefined();
    expect(ask(one.token, 335)).toBe('LIMIT');
  });
});

it('RateLimit remembers so many keys and no more', () => {
  const limit = new RateLimit(1);
  expect(limit.take('first', 0)).toBe(true);
  expect(limit.take('first', 0)).toBe(false);
  for (let key = 0; key < 10_000; key++) limit.take(`k${key}`, 0);
  expect(limit.take('first', 0)).toBe(true);
});

it('RefusalLog writes once what happens again and again, and how often it was', () => {
  const said: string[] = [];
  const log = new RefusalLog({ warn: (_: object, message: string) => void said.push(message) } as never);
  for (let now = 0; now < 50_000; now += 1000) log.refused('10.0.0.1', LIST, 'no token', now);
  log.refused('10.0.0.2', LIST, 'no token', 1);
  log.refused('10.0.0.1', LIST, 'no token', 61_000);
  expect(said).toEqual([
    `refused ${LIST}: no token`,
    `refused ${LIST}: no token`,
    `refused ${LIST}: no token (and 49 times before this)`,
  ]);
});

/** `kasane token`: who may do what at a coordinator, kept in its state directory. A coordinator that runs there knows at once. */
import { checkState } from '@kasane/coordinator/internal/store/state-check';
import { type TokenRecord, TokenStore } from '@kasane/coordinator/internal/store/tokens';
import { KasaneError } from '@kasane/protocol/errors';
import type { Scope } from '@kasane/protocol/scopes';
import { err, out } from '../../output/say.ts';
import { stateFolder } from '../../program/options.ts';
import { moment, table } from '../../render/table.ts';

export interface StateOptions {
  readonly state?: string;
  readonly json?: boolean;
}

export interface CreateOptions extends StateOptions {
  readonly scope: readonly Scope[];
  /** Milliseconds from now. */
  readonly expires?: number;
}

export function create(name: string, options: CreateOptions): void {
  if (!/^[\w.@ -]{1,64}$/.test(name)) {
    throw new KasaneError('USAGE', `token '${name}': expected a name of 1 to 64 letters, digits and .@_-`);
  }
  const { scope, expires, json } = options;
  withStore(options, (store) => {
    const expiresAt = expires === undefined ? undefined : Date.now() + expires;
    const { token, ...record } = store.create({ name, scopes: scope, expiresAt });
    if (json) return print(JSON.stringify({ ...shown(record), token }));
    // The token alone on standard output, so that it can be caught.
    err.write(`Token ${record.id} with scope ${record.scopes.join(', ')}, shown only once:\n`);
    print(token);
  });
}

export function list(options: StateOptions): void {
  withStore(options, (store) => {
    const records = store.list().map(shown);
    if (options.json) return print(JSON.stringify(records));
    if (records.length === 0) return print('no tokens: kasane token create NAME --scope work');
    const rows = records.map(({ id, name, scopes, state, created, expires }) => [
      ...[id, name, scopes.join(' '), state, moment(created)],
      expires === null ? 'never' : moment(expires),
    ]);
    print(table(['ID', 'NAME', 'SCOPES', 'STATE', 'CREATED', 'EXPIRES'], rows));
  });
}

export function revoke(which: string, options: StateOptions): void {
  withStore(options, (store) => {
    const record = store.revoke(which);
    const { id, name } = record;
    print(options.json ? JSON.stringify(shown(record)) : `token ${id} (${name}) has been revoked`);
  });
}

const print = (line: string) => {
  out.write(`${line}\n`);
};

function withStore(options: StateOptions, body: (store: TokenStore) => void): void {
  const directory = stateFolder(options.state);
  checkState(directory);
  const store = new TokenStore(directory);
  try {
    body(store);
  } finally {
    store.close();
  }
}

/** As people and programs see it. */
function shown({ id, name, scopes, createdAt, expiresAt, revokedAt }: TokenRecord) {
  const iso = (ms: number) => new Date(ms).toISOString();
  const state = revokedAt > 0 ? 'revoked' : expiresAt > 0 && expiresAt <= Date.now() ? 'expired' : 'valid';
  return { id, name, scopes, state, created: iso(createdAt), expires: expiresAt > 0 ? iso(expiresAt) : null };
}

/**
 * Tokens with scopes, in the state directory's SQLite file: a table of its own, so that the command line may create and revoke them
 * while a coordinator runs. Only digests are stored: a token is 32 random bytes, and no dictionary finds those again.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import { KasaneError } from '@kasane/protocol/errors';
import { digestOfToken } from '@kasane/protocol/internal/security/token';
import { type Scope, scopes } from '@kasane/protocol/scopes';
import { openStateDatabase, requireTables } from './state-database.ts';

export interface TokenRecord {
  /** In the token itself, and in logs. */
  readonly id: string;
  /** What it is for, for people. */
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** Milliseconds since 1970; 0 for never. */
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly revokedAt: number;
}

export interface NewToken {
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** Milliseconds since 1970. Default: it does not expire. */
  readonly expiresAt?: number | undefined;
}

/** Not a step of migrations.ts: a token may be created while a coordinator of an earlier version runs, whose tables stay as they are. */
const makeTable = (database: DatabaseSync) =>
  database.exec(`
    CREATE TABLE IF NOT EXISTS tokens (
      id TEXT PRIMARY KEY, name TEXT NOT NULL, scopes TEXT NOT NULL, digest BLOB NOT NULL,
      createdAt REAL NOT NULL, expiresAt REAL NOT NULL, revokedAt REAL NOT NULL DEFAULT 0) STRICT;`);
const FORM = /^ksn_([0-9a-f]{12})_[\w-]{43}$/;

export class TokenStore {
  readonly #db: DatabaseSync;

  /** @param directory of a coordinator's state; made when missing */
  constructor(directory: string) {
    this.#db = openStateDatabase(directory, (database) => {
      makeTable(database);
      requireTables(database, makeTable, directory);
    });
  }

  close(): void {
    this.#db.close();
  }

  /** Stores a new token and returns it: it can not be read again. */
  create(
    { name, scopes: granted, expiresAt = 0 }: NewToken,
    now = Date.now(),
  ): TokenRecord & { token: string } {
    const id = randomBytes(6).toString('hex');
    const token = `ksn_${id}_${randomBytes(32).toString('base64url')}`;
    const held = scopes.filter((scope) => granted.includes(scope));
    this.#db
      .prepare(
        'INSERT INTO tokens (id, name, scopes, digest, createdAt, expiresAt) VALUES (?, ?, ?, ?, ?, ?)',
      )
      .run(id, name, held.join(' '), digestOfToken(token), now, expiresAt);
    return { id, name, scopes: held, createdAt: now, expiresAt, revokedAt: 0, token };
  }

  /** Oldest first, revoked ones too. */
  list(): TokenRecord[] {
    return this.#db.prepare('SELECT * FROM tokens ORDER BY createdAt, rowid').all().map(toRecord);
  }

  /** Whether there are any that have not been revoked. */
  get any(): boolean {
    return this.#db.prepare('SELECT 1 FROM tokens WHERE revokedAt = 0 LIMIT 1').get() !== undefined;
  }

  /**
   * From now on the token is refused.
   * @param which its id, or its name where only one that is not revoked has that name
   * @throws KasaneError USAGE when there is none, or several
   */
  revoke(which: string, now = Date.now()): TokenRecord {
    const found = this.list().filter(
      ({ id, name, revokedAt }) => revokedAt === 0 && (id === which || name === which),
    );
    if (found.length !== 1) {
      const what = found.length === 0 ? 'no token' : `${found.length} tokens`;
      throw new KasaneError(
        'USAGE',
        `${what} that can be revoked ${found.length > 1 ? 'have' : 'has'} the id or name '${which}'; list the ids with \`kasane token list\``,
      );
    }
    const [record] = found as [TokenRecord];
    this.#db.prepare('UPDATE tokens SET revokedAt = ? WHERE id = ?').run(now, record.id);
    return { ...record, revokedAt: now };
  }

  /** The record of a token that is valid now; otherwise why it is not. Takes as long for any wrong secret. */
  find(token: string, now = Date.now()): TokenRecord | { readonly refused: string } {
    const id = FORM.exec(token)?.[1];
    const row = id && this.#db.prepare('SELECT * FROM tokens WHERE id = ?').get(id);
    if (!row || !timingSafeEqual(row.digest as Uint8Array, digestOfToken(token)))
      return { refused: 'the token is unknown to this coordinator' };
    const record = toRecord(row);
    if (record.revokedAt > 0) return { refused: `the token ${id} is revoked` };
    return record.expiresAt > 0 && record.expiresAt <= now
      ? { refused: `the token ${id} has expired` }
      : record;
  }
}

function toRecord(row: Record<string, SQLOutputValue>): TokenRecord {
  const held = String(row.scopes).split(' ');
  return {
    id: String(row.id),
    name: String(row.name),
    scopes: scopes.filter((scope) => held.includes(scope)),
    createdAt: Number(row.createdAt),
    expiresAt: Number(row.expiresAt),
    revokedAt: Number(row.revokedAt),
  };
}

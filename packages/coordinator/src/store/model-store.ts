/**
 * Registered models and their aliases, in tables beside those of jobs. The weights of a version are a file of their own, named by its
 * SHA-256: neither the job that trained them nor its checkpoints are needed, and equal weights are kept once.
 */
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { KasaneError } from '@kasane/protocol/errors';
import type { ModelVersion } from '@kasane/protocol/gen/kasane/v1/models';
import { requireModelName } from '@kasane/protocol/internal/job/model-name';
import { number, type Row, text } from './job-record.ts';
import type { Place } from './pages.ts';
import type { Statement } from './state-writer.ts';

/** Where the weights of registered models are, in a state directory. */
export const MODELS = 'models';
/** Where a file of weights is, relative to the state directory. */
export const fileOfModel = (digest: string): string => join(MODELS, `${digest}.safetensors`);

/** NAME:VERSION */
export const nameOf = ({ name, version }: Pick<ModelVersion, 'name' | 'version'>): string =>
  `${name}:${version}`;

type Write = (...statements: readonly Statement[]) => Promise<void>;

export class ModelStore {
  readonly #db: DatabaseSync;
  readonly #directory: string;
  readonly #write: Write;
  /** Versions of each digest, newest first. Kept, because every list of jobs asks for them. */
  #byDigest: ReadonlyMap<string, readonly string[]> | undefined;
  /** Versions whose deletion is being written: nothing may refer to them any more. */
  readonly #leaving = new Set<string>();

  /** @param write writes all or nothing, in the order in which it is called */
  constructor(db: DatabaseSync, directory: string, write: Write) {
    this.#db = db;
    this.#directory = directory;
    this.#write = async (...statements) => {
      await write(...statements);
      this.#byDigest = undefined;
    };
  }

  /** Where the weights of a digest are, or would be. */
  path(digest: string): string {
    return join(this.#directory, fileOfModel(digest));
  }

  /** Number of versions of all names. */
  get count(): number {
    return number(this.#db.prepare('SELECT count(*) AS count FROM models').get()!.count);
  }

  /** Digests of all versions, each once. */
  digests(): string[] {
    return this.#db
      .prepare('SELECT DISTINCT digest FROM models ORDER BY digest')
      .all()
      .map(({ digest }) => text(digest));
  }

  /** The versions that have these weights, newest first. */
  versionsOf(digest: string): readonly string[] {
    if (digest === '') return [];
    this.#byDigest ??= this.#readByDigest();
    return this.#byDigest.get(digest) ?? [];
  }

  /** Whether a version has these weights. */
  has(digest: string): boolean {
    return this.versionsOf(digest).length > 0;
  }

  #readByDigest(): ReadonlyMap<string, readonly string[]> {
    const found = new Map<string, string[]>();
    const rows = this.#db
      .prepare('SELECT digest, name, version FROM models ORDER BY registeredAt DESC, rowid DESC')
      .all();
    for (const row of rows) {
      const digest = text(row.digest);
      const names = found.get(digest) ?? [];
      names.push(nameOf({ name: text(row.name), version: text(row.version) }));
      found.set(digest, names);
    }
    return found;
  }

  /** A version of a name; undefined where there is none. */
  version(name: string, version: string): ModelVersion | undefined {
    if (this.#leaving.has(nameOf({ name, version }))) return undefined;
    const row = this.#db.prepare('SELECT * FROM models WHERE name = ? AND version = ?').get(name, version);
    return row && this.#versionOfRow(row);
  }

  /** The version that an alias points to; undefined where it points to none. */
  versionOfAlias(name: string, alias: string): string | undefined {
    const row = this.#db.prepare('SELECT version FROM aliases WHERE name = ? AND alias = ?').get(name, alias);
    return row && text(row.version);
  }

  /** @param model NAME:VERSION or NAME:ALIAS @throws KasaneError USAGE, MODEL_NOT_FOUND */
  require(model: string): ModelVersion {
    const { name, reference } = requireModelName(model);
    const found = this.version(name, this.versionOfAlias(name, reference) ?? reference);
    if (found) return found;
    const known = this.#db.prepare('SELECT 1 FROM models WHERE name = ? LIMIT 1').get(name);
    const what = known
      ? `model '${name}' has no version or alias '${reference}'`
      : `there is no model '${name}'`;
    const list = known ? `kasane model list ${name}` : 'kasane model list';
    throw new KasaneError('MODEL_NOT_FOUND', `${what}; list what is registered with \`${list}\``);
  }

  /** Where a version came from: a ModelRecord, encoded. */
  record({ name, version }: Pick<ModelVersion, 'name' | 'version'>): Uint8Array {
    const row = this.#db
      .prepare('SELECT record FROM models WHERE name = ? AND version = ?')
      .get(name, version);
    return row!.record as Uint8Array;
  }

  /** Newest first. @param name only its versions; empty: all @param after the version before the first of these */
  list(
    limit: number,
    name: string,
    after?: Place,
  ): { readonly models: readonly ModelVersion[]; readonly last: Place | undefined } {
    const of = name === '' ? 'TRUE' : 'name = ?';
    const from = after ? ' AND (registeredAt, rowid) < (?, ?)' : '';
    const rows = this.#db
      .prepare(
        `SELECT *, rowid FROM models WHERE ${of}${from} ORDER BY registeredAt DESC, rowid DESC LIMIT ?`,
      )
      .all(...(name === '' ? [] : [name]), ...(after ? [after.submittedAt, after.row] : []), limit + 1);
    const last = rows.length > limit ? rows[limit - 1] : undefined;
    return {
      models: rows.slice(0, limit).map((row) => this.#versionOfRow(row)),
      last: last && { submittedAt: number(last.registeredAt), row: number(last.rowid) },
    };
  }

  /** @param record where it came from, encoded */
  add(model: Omit<ModelVersion, 'aliases'>, aliases: readonly string[], record: Uint8Array): Promise<void> {
    const { name, version, digest, bytes, job, registeredAt, description } = model;
    return this.#write(
      {
        sql: 'INSERT INTO models VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
        values: [name, version, digest, bytes, job, registeredAt, description, record],
      },
      ...aliases.map((alias) => aliasInsertion(name, alias, version)),
    );
  }

  setAlias(name: string, alias: string, version: string): Promise<void> {
    return this.#write(aliasInsertion(name, alias, version));
  }

  removeAlias(name: string, alias: string): Promise<void> {
    return this.#write({ sql: 'DELETE FROM aliases WHERE name = ? AND alias = ?', values: [name, alias] });
  }

  async delete({ name, version }: Pick<ModelVersion, 'name' | 'version'>): Promise<void> {
    const full = nameOf({ name, version });
    this.#leaving.add(full);
    try {
      await this.#write({
        sql: 'DELETE FROM models WHERE name = ? AND version = ?',
        values: [name, version],
      });
    } finally {
      this.#leaving.delete(full);
    }
  }

  #versionOfRow(row: Row): ModelVersion {
    const [name, version] = [text(row.name), text(row.version)];
    const aliases = this.#db
      .prepare('SELECT alias FROM aliases WHERE name = ? AND version = ? ORDER BY alias')
      .all(name, version);
    return {
      name,
      version,
      aliases: aliases.map(({ alias }) => text(alias)),
      digest: text(row.digest),
      bytes: number(row.bytes),
      job: text(row.job),
      registeredAt: number(row.registeredAt),
      description: text(row.description),
    };
  }
}

const aliasInsertion = (name: string, alias: string, version: string): Statement => ({
  sql: 'INSERT OR REPLACE INTO aliases VALUES (?, ?, ?)',
  values: [name, alias, version],
});

/**
 * Whether a state directory is still where it was opened. SQLite goes on with a database that was moved or removed as if nothing had
 * happened, and nobody finds again what it writes there: so whoever writes asks first.
 */
import { mkdirSync, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { type Reason, sentenceOf } from '@kasane/protocol/reasons';
import { systemCodeOf } from '@kasane/tensor/internal/node/system-errors';

export type AwayReason = Reason<'state-moved' | 'state-replaced' | 'state-closed' | 'state-unlocked'>;

/** The file in a state directory whose lock makes a coordinator its owner. */
export const LOCK_FILE = 'kasane.lock';

/** The state directory is not where it was, for now. */
export class StateAway extends Error {
  override readonly name = 'StateAway';
  readonly reason: AwayReason;

  constructor(reason: AwayReason) {
    super(sentenceOf(reason));
    this.reason = reason;
  }
}

/** Device and number: what stays when a file is renamed, and differs where another takes its name. */
type Identity = string;
interface Found {
  readonly dev: bigint;
  readonly ino: bigint;
}
const identityOf = ({ dev, ino }: Found): Identity => `${dev}:${ino}`;
const look = (path: string) => identityOf(statSync(path, { bigint: true }));

function identityOrError(path: string): Identity | Error {
  try {
    return look(path);
  } catch (error) {
    return error as Error;
  }
}

/** Of a database that was opened, and of its folder. */
export interface Opened {
  readonly path: string;
  readonly database: Identity;
  readonly folder: Identity;
  /** Of the file that is locked; undefined: nobody has claimed the folder. */
  readonly lock: Identity | undefined;
}

export class StatePlace {
  /** For another thread. */
  readonly opened: Opened;

  constructor(opened: Opened) {
    this.opened = opened;
  }

  /** @param path of a database that is open and in its place */
  static of(path: string): StatePlace {
    const folder = dirname(path);
    const lock = identityOrError(join(folder, LOCK_FILE));
    return new StatePlace({
      ...{ path, database: look(path), folder: look(folder) },
      lock: typeof lock === 'string' ? lock : undefined,
    });
  }

  /** @throws StateAway */
  async require(): Promise<void> {
    const identity = (path: string) =>
      stat(path, { bigint: true }).then(identityOf, (error: unknown) => error as Error);
    const { path, lock } = this.opened;
    const database = await identity(path);
    if (database !== this.opened.database) throw this.#away(database, await identity(dirname(path)));
    if (lock !== undefined && (await identity(this.#lockPath)) !== lock) throw this.#unlocked();
  }

  /** As `require`, for threads that serve nobody. @throws StateAway */
  requireSync(): void {
    const { path, lock } = this.opened;
    const database = identityOrError(path);
    if (database !== this.opened.database) throw this.#away(database, identityOrError(dirname(path)));
    if (lock !== undefined && identityOrError(this.#lockPath) !== lock) throw this.#unlocked();
  }

  get #lockPath(): string {
    return join(dirname(this.opened.path), LOCK_FILE);
  }

  /** Another file in its place may be locked by another coordinator. */
  #unlocked(): StateAway {
    return new StateAway({ code: 'state-unlocked', args: { path: this.#lockPath } });
  }

  /** Makes a folder in the state directory, and never the state directory anew. @throws StateAway, and the system's error */
  async folder(path: string): Promise<void> {
    await this.require();
    const root = dirname(this.opened.path);
    let at = root;
    for (const part of relative(root, path).split(sep)) {
      at = join(at, part);
      try {
        mkdirSync(at, { mode: 0o700 });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue;
        // It went between the look and this.
        this.requireSync();
        throw error;
      }
    }
  }

  /** @param database what is in the place of the database now. @param folder and in that of its folder */
  #away(database: Identity | Error, folder: Identity | Error): StateAway {
    const { path } = this.opened;
    const args = {
      database: { part: 'database', path },
      directory: { part: 'directory', path: dirname(path) },
    } as const;
    if (typeof folder === 'string' && folder !== this.opened.folder)
      return new StateAway({ code: 'state-replaced', args: args.directory });
    if (typeof database === 'string') return new StateAway({ code: 'state-replaced', args: args.database });
    if (!isMissing(database)) {
      const cause = systemCodeOf(database) ?? 'unknown';
      return new StateAway({ code: 'state-closed', args: { path: dirname(path), cause } });
    }
    const moved = typeof folder === 'string' ? args.database : args.directory;
    return new StateAway({ code: 'state-moved', args: moved });
  }
}

const isMissing = ({ code }: NodeJS.ErrnoException): boolean => code === 'ENOENT' || code === 'ENOTDIR';

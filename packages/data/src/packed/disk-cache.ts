/** Chunks that were fetched, on disk by their digest: whole or absent, and no more bytes than allowed. */
import { readdir, rm, stat, utimes } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { makeFolders } from '@kasane/tensor/internal/node/make-folders';
import { DataError } from '../dataset.ts';
import { userFolder } from '../files/user-folders.ts';
import { writeWholeFile } from '../files/whole-file.ts';

/**
 * Set by whoever runs the process: KASANE_CACHE (a folder) and KASANE_CACHE_GB.
 * @throws DataError where there is no folder for it, or the number is none
 */
export function cacheSettings(env: NodeJS.ProcessEnv = process.env): { folder: string; bytes: number } {
  const folder = env.KASANE_CACHE ? resolve(env.KASANE_CACHE) : userFolder('cache', env);
  if (folder === undefined)
    throw new DataError('there is no home folder to cache packed data in; set HOME or KASANE_CACHE');
  const gigabytes = Number(env.KASANE_CACHE_GB || 10);
  if (!(gigabytes > 0))
    throw new DataError(`KASANE_CACHE_GB: '${env.KASANE_CACHE_GB}'; expected a number of gigabytes above 0`);
  return { folder, bytes: 1e9 * gigabytes };
}

export class DiskCache {
  readonly #folder: string;
  readonly #bytes: number;
  readonly #fetching = new Map<string, Promise<string>>();
  /** Bytes in the folder; counted when it is first needed. */
  #used: Promise<number> | undefined;

  constructor({ folder, bytes }: { folder: string; bytes: number }) {
    this.#folder = folder;
    this.#bytes = bytes;
  }

  /** Path of the chunk; `fetch` is asked for its bytes, checked already, where it is not there. */
  path(digest: string, fetch: () => Promise<Uint8Array>): Promise<string> {
    const path = join(this.#folder, digest);
    const under = this.#fetching.get(digest);
    if (under) return under;
    const made = this.#find(path, fetch).finally(() => this.#fetching.delete(digest));
    this.#fetching.set(digest, made);
    return made;
  }

  /** It turned out to be damaged. */
  async forget(digest: string): Promise<void> {
    await rm(join(this.#folder, digest), { force: true });
    this.#used = undefined;
  }

  async #find(path: string, fetch: () => Promise<Uint8Array>): Promise<string> {
    const now = new Date();
    // What is used is young: the oldest goes first.
    if (
      await utimes(path, now, now).then(
        () => true,
        () => false,
      )
    )
      return path;
    const bytes = await fetch();
    this.#used ??= this.#files().then((files) => files.reduce((sum, { size }) => sum + size, 0));
    if ((await this.#used) + bytes.length > this.#bytes) await this.#makeRoom(bytes.length);
    makeFolders(this.#folder);
    await writeWholeFile(path, bytes);
    this.#used = this.#used.then((used) => used + bytes.length);
    return path;
  }

  async #makeRoom(needed: number): Promise<void> {
    const files = (await this.#files()).sort((a, b) => a.time - b.time);
    let used = files.reduce((sum, { size }) => sum + size, 0);
    for (const { path, size } of files) {
      // A tenth more than needed, so that this is not done for every chunk.
      if (used + needed <= 0.9 * this.#bytes) break;
      await rm(path, { force: true });
      used -= size;
    }
    this.#used = Promise.resolve(used);
  }

  async #files(): Promise<{ path: string; size: number; time: number }[]> {
    const names = await readdir(this.#folder).catch(() => []);
    const found = await Promise.all(
      names.map(async (name) => {
        const path = join(this.#folder, name);
        const seen = await stat(path).catch(() => undefined);
        return seen?.isFile() ? { path, size: seen.size, time: seen.mtimeMs } : undefined;
      }),
    );
    return found.filter((file) => file !== undefined);
  }
}

/** What may lie at a path where a file is expected: one entry for each kind of thing that ended or hung a program somewhere. */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { dirname, join } from 'node:path';

export interface BadSource {
  /** Puts it at `path`, where nothing is. Returns what takes it away, where removing the path is not enough. */
  place(path: string): undefined | (() => void) | Promise<() => void>;
  /** Only where the system has such a thing. */
  readonly needs?: string;
  /** Root may read everything, so it is tried as another user. */
  readonly asOther?: true;
}

const link = (target: string): BadSource => ({
  needs: target,
  place: (path) => {
    symlinkSync(target, path);
    return undefined;
  },
});

const plain = (place: (path: string) => unknown): BadSource => ({
  place: (path) => {
    place(path);
    return undefined;
  },
});

export const badSources = {
  'a folder': plain((path) => mkdirSync(path)),
  'a named pipe': plain((path) => execFileSync('mkfifo', [path])),
  'an endless device': link('/dev/zero'),
  'a full device': link('/dev/full'),
  'a socket': {
    place: async (path) => {
      const server = await new Promise<Server>((done, failed) => {
        // Where TMPDIR is long, a path is too long for a socket.
        const made = createServer().once('error', failed);
        made.listen(path, () => done(made));
      });
      return () => server.close();
    },
  },
  'a file without permission': {
    asOther: true,
    place: (path) => {
      writeFileSync(path, 'a,y\n1,2\n', { mode: 0 });
      return () => chmodSync(path, 0o600);
    },
  },
  nothing: plain(() => {}),
  'a link that leads nowhere': plain((path) => symlinkSync(join(dirname(path), 'gone'), path)),
  'a loop of links': {
    place: (path) => {
      const other = `${path}-loop`;
      symlinkSync(path, other);
      symlinkSync(other, path);
      return () => rmSync(other);
    },
  },
  // The kernel says 4096 bytes of both: the one has fewer, as a file that is cut while it is read; reading the other fails half-way.
  'a file that becomes shorter': link('/sys/class/net/lo/mtu'),
  'a file whose reading fails': link('/sys/class/net/lo/speed'),
  'an empty file': plain((path) => writeFileSync(path, '')),
} satisfies Record<string, BadSource>;

export type BadSourceName = keyof typeof badSources;

/** Why one can not be tried on this machine; undefined where it can. */
export function whyNot({ needs }: BadSource): string | undefined {
  return needs === undefined || existsSync(needs) ? undefined : `${needs} is not there`;
}

/** Runs `body` as a user whom permissions bind. Only root can become another. */
export async function asOtherUser<T>(body: () => Promise<T>): Promise<T> {
  if (process.geteuid?.() !== 0) return body();
  process.seteuid!(65_534);
  try {
    return await body();
  } finally {
    process.seteuid!(0);
  }
}

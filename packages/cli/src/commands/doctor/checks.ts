/** What `kasane doctor` looks at, each thing for itself: what was found, and what to do where it is wrong. */
import { fork } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { createServer } from 'node:net';
import { availableParallelism, freemem, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { inspectRedis } from '@kasane/coordinator/internal/queue/inspect-redis';
import { checkState } from '@kasane/coordinator/internal/store/state-check';
import { ownerOf } from '@kasane/coordinator/internal/store/state-lock';
import { type ClientOptions, CoordinatorClient } from '@kasane/protocol/client';
import { messageOf } from '@kasane/protocol/errors';
import { PEM_BYTES } from '@kasane/protocol/limits';
import { makeFolders } from '@kasane/tensor/internal/node/make-folders';
import { readRegularSync } from '@kasane/tensor/internal/node/regular-file';
import { whyUnwritable } from '../../files/output-file.ts';
import { temporaryPlace } from '../../files/temporary-folder.ts';
import { kernelHere } from '../../model/backend.ts';
import { failureOf } from '../../process/failure.ts';
import { stateFolder } from '../../program/options.ts';
import { fetchedWithApt } from '../../redis/apt.ts';
import { onPath } from '../../redis/start.ts';
import { count } from '../../render/count.ts';
import { clockAhead, clockTrouble } from './clock.ts';
import type { GpuAnswer } from './gpu-process.ts';

export interface Finding {
  readonly name: string;
  /** ok: as it should be. note: works, but could be better. wrong: something will not work. */
  readonly state: 'ok' | 'note' | 'wrong';
  readonly found: string;
  /** What to do; absent when all is well. */
  readonly todo?: string;
}

/** Everything is as it should be. */
const ok = (name: string, found: string): Finding => ({ name, state: 'ok', found });
const note = (name: string, found: string, todo: string): Finding => ({ name, state: 'note', found, todo });
const failed = (name: string, found: string, todo: string): Finding => ({
  name,
  state: 'wrong',
  found,
  todo,
});

const DAY_MS = 86_400_000;
/** Certificates that end within so many days are worth a word. */
const SOON_DAYS = 14;
const GIB = 2 ** 30;
const gib = (bytes: number) => `${(bytes / GIB).toFixed(1)} GiB`;

/** @param version without the v, such as 24.21.0 */
export function checkNode(version = process.versions.node): Finding {
  const [major, minor] = version.split('.').map(Number) as [number, number];
  if (major < 22 || (major === 22 && minor < 18)) {
    return failed('Node', version, 'install Node 22.18 or later, preferably 24: https://nodejs.org');
  }
  if (major < 24) return note('Node', version, 'Node 24 computes up to twice as fast on x64 processors');
  return ok('Node', `${version}, ${availableParallelism()} processors`);
}

/** Runs the self-test of the kernels that would compute here. */
export function checkKernels(): Finding {
  try {
    const { name, warning } = kernelHere();
    if (warning) return note('Arithmetic', `${name} kernel: ${warning}`, 'results are correct, only slower');
    return ok('Arithmetic', `${name} kernel, self-test passed`);
  } catch (error) {
    return failed('Arithmetic', messageOf(error), 'use another version of Node, or another machine');
  }
}

/** @param url of the Redis to use; without it, whether one can be started here */
export async function checkRedis(url: string | undefined): Promise<Finding> {
  if (url === undefined) {
    const found = await onPath().catch(() => fetchedWithApt());
    if (found) return ok('Redis', `${found.path}, started when needed`);
    return note(
      'Redis',
      'none on the PATH',
      'on Debian and Ubuntu, it is downloaded when needed; elsewhere, install redis or valkey, or set --redis',
    );
  }
  try {
    const { host, version, policy, clock, trouble } = await inspectRedis(url);
    const found = `${version} at ${host}, maxmemory-policy ${policy}`;
    if (trouble) return failed('Redis', `${found}: ${trouble.found}`, trouble.todo);
    const apart = clockTrouble(clockAhead(clock.theirs, clock.asked, clock.answered));
    return apart ? note('Redis', `${found}; ${apart.found}`, apart.todo) : ok('Redis', found);
  } catch (error) {
    const [found, ...todo] = messageOf(error).split('; ');
    return failed('Redis', found!, todo.join('; ') || 'start it, or set its address with --redis');
  }
}

/** Whether a port on loopback can be listened on. */
export async function checkPort(name: string, port: number, flag: string): Promise<Finding> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', () => resolve());
    });
    return ok(name, `${port} is free`);
  } catch (error) {
    const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
    const found = taken ? `${port} is in use` : `${port}: ${failureOf(error).message}`;
    return note(name, found, `unless Kasane uses it, choose another port with ${flag}`);
  } finally {
    server.close();
  }
}

/** Whether a coordinator answers, takes the token and the certificate, has somebody who computes, and the right time. */
export async function checkCoordinator(options: ClientOptions): Promise<Finding> {
  const { coordinator: address } = options;
  let client: CoordinatorClient | undefined;
  try {
    client = new CoordinatorClient(options);
    const asked = Date.now();
    const { version, workers, nowMs } = await client.status();
    const clock = clockTrouble(clockAhead(nowMs, asked, Date.now()));
    const slots = workers.reduce((sum, worker) => sum + worker.slots, 0);
    const found = `${version} at ${address}, ${count(workers.length, 'worker')} with ${count(slots, 'slot')}`;
    if (clock) return note('Coordinator', `${found}; ${clock.found}`, clock.todo);
    if (workers.length > 0) return ok('Coordinator', found);
    return note('Coordinator', found, `start a worker: kasane worker --coordinator ${address}`);
  } catch (error) {
    const [found, todo = 'check its address and the token'] = messageOf(error).split('; ');
    return failed('Coordinator', found!, todo);
  } finally {
    client?.close();
  }
}

/** Whether a file of certificates can be read, and how long they are valid. @param now milliseconds since 1970 */
export function checkCertificates(flag: string, path: string, now = Date.now()): Finding {
  try {
    const pems = readRegularSync(path, PEM_BYTES)
      .toString()
      .match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g);
    if (!pems)
      return failed(
        flag,
        `${path} contains no PEM certificate`,
        'create one for development with `kasane cert dev`',
      );
    const certificates = pems.map((pem) => new X509Certificate(pem));
    const [first] = certificates.sort((a, b) => Number(a.validToDate) - Number(b.validToDate));
    const { subject, validToDate } = first!;
    const name = subject.replaceAll('\n', ', ');
    const days = (Number(validToDate) - now) / DAY_MS;
    const until = validToDate.toISOString().slice(0, 10);
    if (days < 0) return failed(flag, `${name} in ${path} expired on ${until}`, 'renew it');
    if (certificates.some((one) => Number(one.validFromDate) > now))
      return failed(
        flag,
        `${path}: a certificate in it is not valid yet`,
        "set this machine's clock, or wait",
      );
    const found = `${name} in ${path}, until ${until}`;
    return days < SOON_DAYS ? note(flag, found, 'renew it before then') : ok(flag, found);
  } catch (error) {
    return failed(flag, `${path}: ${messageOf(error)}`, 'expected a PEM file');
  }
}

/** Asks in a process of its own: drivers and Dawn write about themselves to standard error, and may end the process. */
export async function checkGpu(): Promise<Finding> {
  const child = fork(new URL(import.meta.resolve('@kasane/cli/internal/commands/doctor/gpu-process')), {
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  const answer = await new Promise<GpuAnswer>((resolve) => {
    child.once('message', (message) => resolve(message as GpuAnswer));
    child.once('error', (error) => resolve({ why: failureOf(error).message }));
    child.once('exit', () => resolve({ why: 'its driver crashed the test process' }));
  });
  child.kill('SIGKILL');
  return 'name' in answer
    ? ok('WebGPU', `${answer.name}, for jobs with \`math: fast\``)
    : note('WebGPU', answer.why, 'not required: every job can run on the CPU');
}

export function checkMemory(free = freemem(), total = totalmem()): Finding {
  const found = `${gib(free)} of ${gib(total)} free`;
  return free < GIB
    ? note('Memory', found, 'large models need more; stop other programs')
    : ok('Memory', found);
}

/** Whether a coordinator could go on with what is in its state directory. */
export function checkStateDirectory(folder: string): Finding {
  try {
    checkState(folder);
    const owner = ownerOf(folder);
    if (owner === undefined) return ok('State', folder);
    const who =
      owner === 'unknown' ? 'a coordinator' : `the coordinator of process ${owner.pid} on ${owner.host}`;
    return ok('State', `${folder}, in use by ${who}`);
  } catch (error) {
    const [found, todo = 'choose another directory with --state'] = messageOf(error).split('; ');
    return failed('State', found!, todo);
  }
}

/** Whether files can be made in a folder, or the folder itself. Nothing stays. */
export function checkWritable(folder: string, todo: string): Finding | undefined {
  try {
    const made = makeFolders(folder);
    try {
      rmSync(mkdtempSync(join(folder, '.kasane-doctor-')), { recursive: true });
    } finally {
      if (made !== undefined) rmSync(made, { recursive: true });
    }
    return undefined;
  } catch (error) {
    return failed('Folder', `${folder} cannot be written to: ${whyUnwritable(error)}`, todo);
  }
}

/** Space where checkpoints, caches and the temporary files go. */
export function checkDisk(folder: string, free = freeBytes(folder)): Finding {
  const found = `${gib(free)} free in ${folder}`;
  if (free < GIB / 10) return failed('Disk', found, 'free up space for checkpoints and weights');
  return free < 2 * GIB
    ? note('Disk', found, 'checkpoints of large models take several GiB')
    : ok('Disk', found);
}

function freeBytes(folder: string): number {
  for (let at = folder; ; at = dirname(at)) {
    try {
      const { bavail, bsize } = statfsSync(at);
      return bavail * bsize;
    } catch (error) {
      if (dirname(at) === at) throw error;
    }
  }
}

/** Folders that are written to: state, temporary files; and what to do where one cannot be. */
export const writtenFolders = (
  state?: string,
): readonly { readonly folder: string; readonly todo: string }[] => [
  { folder: stateFolder(state), todo: 'choose another for the coordinator with --state' },
  { folder: temporaryPlace(), todo: 'set TMPDIR to a writable folder' },
];

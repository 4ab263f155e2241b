/** Other people's libraries in processes of their own, which compute only while they are asked to: bench/peers has their side. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Contender, Figure } from './turns.ts';

export interface PeerScript {
  /** In bench/peers: Python, or TypeScript. */
  readonly script: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Peer {
  readonly name: string;
  readonly version: string;
  /** @param work what the script knows it by, as JSON */
  on(work: unknown): Contender;
  /** The same for a script that answers with something else than a figure. Undefined: it does not have this work, or has stopped. */
  ask(work: unknown, count: number): Promise<unknown>;
  close(): void;
}

/** Those that are installed; says which are not. */
export async function openPeers(
  scripts: Readonly<Record<string, PeerScript>>,
  python: string,
): Promise<Peer[]> {
  const names = Object.keys(scripts);
  const opened = await Promise.all(names.map((name) => openPeer(name, scripts[name]!, python)));
  const peers = opened.filter((peer) => peer !== undefined);
  const missing = names.filter((name) => !peers.some((peer) => peer.name === name));
  if (missing.length > 0) console.log(`left out: ${missing.join(', ')}`);
  return peers;
}

async function openPeer(
  name: string,
  { script, env }: PeerScript,
  python: string,
): Promise<Peer | undefined> {
  const { OPENBLAS_CORETYPE: _, OPENBLAS_L2_SIZE: __, ...inherited } = process.env;
  const child = spawn(
    script.endsWith('.py') ? python : process.execPath,
    [join(import.meta.dirname, '../peers', script)],
    {
      env: {
        ...inherited,
        OMP_NUM_THREADS: '1',
        OPENBLAS_NUM_THREADS: '1',
        PYTHONDONTWRITEBYTECODE: '1',
        ...env,
      },
      stdio: ['pipe', 'pipe', 'ignore'],
    },
  );
  // One that is missing or stops ends its lines, which is enough to know.
  child.on('error', () => undefined);
  child.stdin.on('error', () => undefined);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    return done ? undefined : (JSON.parse(value) as unknown);
  };
  const version = await next();
  if (typeof version !== 'string') return undefined;
  let stopped = false;
  const ask = async (work: unknown, count: number) => {
    if (stopped) return undefined;
    child.stdin.write(`${JSON.stringify([work, count])}\n`);
    const answer = await next();
    stopped = answer === undefined;
    if (stopped) console.log(`${name} stopped at ${JSON.stringify(work)}`);
    return answer ?? undefined;
  };
  return {
    name,
    version,
    on: (work) => ({ calls: async (count) => (await ask(work, count)) as Figure | undefined }),
    ask,
    close: () => child.stdin.end(),
  };
}

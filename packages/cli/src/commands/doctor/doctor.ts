/** `kasane doctor`: whether this machine has what Kasane needs, and what to do where it has not. */
import type { TlsFiles } from '@kasane/protocol/internal/security/tls';
import { out } from '../../output/say.ts';
import { DASHBOARD_PORT, DEFAULT_PORT, stateFolder } from '../../program/options.ts';
import {
  checkCertificates,
  checkCoordinator,
  checkDisk,
  checkGpu,
  checkKernels,
  checkMemory,
  checkNode,
  checkPort,
  checkRedis,
  checkStateDirectory,
  checkWritable,
  type Finding,
  writtenFolders,
} from './checks.ts';

export interface DoctorOptions extends TlsFiles {
  readonly redis?: string;
  /** Absent: none is asked. */
  readonly coordinator?: string;
  readonly token?: string;
  readonly state?: string;
  readonly json?: boolean;
}

const marks: Readonly<Record<Finding['state'], string>> = { ok: 'ok   ', note: 'note ', wrong: 'WRONG' };
/** Exit code when something is wrong: unavailable, as in sysexits. */
const WRONG = 69;

export async function doctor(options: DoctorOptions): Promise<void> {
  const { redis = process.env.REDIS_URL, coordinator, token, tlsCa, tlsCert, tlsKey, state, json } = options;
  const findings: Finding[] = [];
  const add = (finding: Finding) => {
    findings.push(finding);
    if (json) return;
    const { name, state, found, todo } = finding;
    out.write(`${marks[state]}  ${name.padEnd(15)} ${found}\n`);
    if (todo !== undefined) out.write(`${' '.repeat(23)}-> ${todo}\n`);
  };
  add(checkNode());
  add(checkKernels());
  add(await checkRedis(redis));
  for (const [flag, path] of [
    ['--tls-ca', tlsCa === 'system' ? undefined : tlsCa],
    ['--tls-cert', tlsCert],
  ] as const) {
    if (path !== undefined) add(checkCertificates(flag, path));
  }
  if (coordinator !== undefined) add(await checkCoordinator({ coordinator, token, tlsCa, tlsCert, tlsKey }));
  else {
    add(await checkPort('Port', DEFAULT_PORT, '--port'));
    add(await checkPort('Dashboard port', DASHBOARD_PORT, '--dashboard-port'));
  }
  add(checkMemory());
  add(checkStateDirectory(stateFolder(state)));
  for (const { folder, todo } of writtenFolders(state)) add(checkWritable(folder, todo) ?? checkDisk(folder));
  add(await checkGpu());
  const code = findings.some((finding) => finding.state === 'wrong') ? WRONG : 0;
  // Drivers of GPUs keep threads of their own that may not end by themselves.
  out.write(
    json
      ? `${JSON.stringify(findings.map((finding) => ({ ...finding, todo: finding.todo ?? null })))}\n`
      : '',
    () => process.exit(code),
  );
}

/**
 * What tests need besides Node, npm and a Redis, each thing asked for by itself. A test that lacks one is left out, and `npm test` lists
 * at its end what was left out and how to get it; in CI (KASANE_CI=1) nothing may be left out, and it fails. Run as a program, this
 * prints the Debian packages that the machine lacks.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { TaskMeta } from 'vitest';
import { browserPath } from './browser.ts';

interface Need {
  /** As the list of `npm test` names it. */
  readonly what: string;
  /** How to get it. */
  readonly get: string;
  /** Debian packages that bring it, and whether what each of them brings is here. */
  readonly packages: Readonly<Record<string, () => boolean>>;
  /** Whether it works, where that takes more than the packages. */
  readonly works?: () => boolean;
}

/** Debian's Python, whatever else is first on the PATH: its packages are for that one. */
export const PYTHON = '/usr/bin/python3';
/** What gives processes another clock. */
export const FAKETIME = '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1';

/** Folder of ONNX's tests of single operations. */
export const ONNX_TESTS = '/usr/share/libonnx-testdata/data/node';

const succeeds = (command: string, ...args: string[]) =>
  spawnSync(command, args, { stdio: 'ignore' }).status === 0;
const imports = (modules: string) => succeeds(PYTHON, '-c', `import ${modules}`);

/** Path of a program on the PATH, or in the folders of the system's own tools; undefined where there is none. */
export function programPath(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders
    .filter((folder) => folder !== '' && !folder.includes('node_modules'))
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
}

/** Whether a shared library is where Debian puts them. */
function hasLibrary(name: string): boolean {
  const folders = existsSync('/usr/lib') ? readdirSync('/usr/lib') : [];
  return folders
    .filter((folder) => folder.includes('-linux-'))
    .some((folder) => existsSync(join('/usr/lib', folder, name)));
}

/** How Compose is called here: a plugin of docker, or a program of its own; undefined where there is neither. */
export const composeCommand = (): [string, ...string[]] | undefined =>
  ([['docker', 'compose'], ['docker-compose']] as [string, ...string[]][]).find(([command, ...args]) =>
    succeeds(command, ...args, 'version'),
  );

const chromium = { chromium: () => browserPath !== undefined };
const aptGet = (names: string) => `apt-get install ${names}`;

const table = {
  chromium: { what: 'Chromium', get: aptGet('chromium'), packages: chromium },
  webgpu: {
    what: 'a WebGPU adapter',
    get: `a GPU with its driver, or ${aptGet('chromium libvulkan1')}`,
    packages: { ...chromium, libvulkan1: () => hasLibrary('libvulkan.so.1') },
  },
  docker: {
    what: 'a Docker engine that answers',
    get: `${aptGet('docker.io')}, and start dockerd`,
    packages: { 'docker.io': () => programPath('dockerd') !== undefined },
    works: () => succeeds('docker', 'info'),
  },
  compose: {
    what: 'Docker Compose',
    get: aptGet('docker-compose'),
    packages: { 'docker-compose': () => composeCommand() !== undefined },
  },
  onnx: {
    what: "ONNX for Debian's Python",
    get: aptGet('python3-onnx'),
    packages: { 'python3-onnx': () => imports('onnx') },
  },
  onnxTests: {
    what: "ONNX's tests of operations",
    get: aptGet('libonnx-testdata'),
    packages: { 'libonnx-testdata': () => existsSync(ONNX_TESTS) },
  },
  python: {
    what: "Debian's Python 3",
    get: aptGet('python3'),
    packages: { python3: () => existsSync(PYTHON) },
  },
  protobuf: {
    what: "protobuf for Debian's Python",
    get: aptGet('python3-protobuf'),
    packages: { 'python3-protobuf': () => imports('google.protobuf') },
  },
  grpc: {
    what: "gRPC for Debian's Python",
    get: aptGet('python3-grpcio'),
    packages: { 'python3-grpcio': () => imports('grpc') },
  },
  numpy: {
    what: "NumPy for Debian's Python",
    get: aptGet('python3-numpy'),
    packages: { 'python3-numpy': () => imports('numpy') },
  },
  yaml: {
    what: "PyYAML for Debian's Python",
    get: aptGet('python3-yaml'),
    packages: { 'python3-yaml': () => imports('yaml') },
  },
  pip: {
    what: "pip for Debian's Python, with what builds packages",
    get: aptGet('python3-pip python3-setuptools python3-wheel'),
    packages: {
      'python3-pip': () => imports('pip'),
      'python3-setuptools': () => imports('setuptools'),
      'python3-wheel': () => imports('wheel'),
    },
  },
  faketime: {
    what: 'libfaketime',
    get: aptGet('faketime'),
    packages: { faketime: () => existsSync(FAKETIME) },
  },
  mount: {
    what: 'the right to mount a tmpfs',
    get: 'run the tests as root on Linux',
    packages: {},
    works: () =>
      process.platform === 'linux' && process.getuid?.() === 0 && programPath('mount') !== undefined,
  },
  prometheus: {
    what: 'Prometheus',
    get: aptGet('prometheus'),
    packages: {
      prometheus: () => programPath('prometheus') !== undefined && programPath('promtool') !== undefined,
    },
  },
  script: {
    what: "util-linux' script and stty, for a terminal",
    get: aptGet('bsdutils coreutils'),
    packages: { bsdutils: () => programPath('script') !== undefined && programPath('stty') !== undefined },
  },
  tar: {
    what: 'tar and gzip',
    get: aptGet('tar gzip'),
    packages: { tar: () => programPath('tar') !== undefined, gzip: () => programPath('gzip') !== undefined },
  },
  ldd: {
    what: 'ldd, which says what a program is linked with',
    get: aptGet('libc-bin'),
    packages: { 'libc-bin': () => programPath('ldd') !== undefined },
  },
} satisfies Readonly<Record<string, Need>>;

export type NeedName = keyof typeof table;
export const needs: Readonly<Record<NeedName, Need>> = table;

const seen = new Map<NeedName, boolean>();

/** Whether this machine has it. */
export function has(name: NeedName): boolean {
  const { packages, works } = needs[name];
  const found = seen.get(name) ?? (Object.values(packages).every((there) => there()) && (works?.() ?? true));
  seen.set(name, found);
  return found;
}

declare module 'vitest' {
  interface TaskMeta {
    /** What the machine lacks for this test, for the list at the end of `npm test`. */
    leftOut?: readonly string[];
  }
}

/**
 * Options of a test or suite that needs these; `has` says whether the machine has one, where the test knows better.
 * @throws Error in CI where one is missing
 */
export function needing(
  names: readonly NeedName[],
  there: (name: NeedName) => boolean = has,
): { readonly skip: boolean; readonly meta: Partial<TaskMeta> } {
  const missing = names.filter((name) => !there(name)).map((name) => needs[name]);
  const leftOut = missing.map(({ what, get }) => `${what}: ${get}`);
  if (missing.length > 0 && process.env.KASANE_CI === '1')
    throw new Error(`CI leaves nothing out, and this machine lacks ${leftOut.join('; ')}`);
  return { skip: missing.length > 0, meta: missing.length > 0 ? { leftOut } : {} };
}

/** Debian packages that would bring what is missing, each once. */
export function missingPackages(all: Readonly<Record<string, Need>> = needs): string[] {
  const asked = Object.values(all).flatMap(({ packages }) => Object.entries(packages));
  return [...new Set(asked.filter(([, there]) => !there()).map(([name]) => name))];
}

if (import.meta.main)
  process.stdout.write(
    missingPackages()
      .map((name) => `${name}\n`)
      .join(''),
  );

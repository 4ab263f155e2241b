/**
 * The page's files: its own modules, and those of @kasane/tensor, @kasane/protocol and uPlot, which the browser loads as they are. TypeScript is
 * stripped of its types here; in the published packages the modules are JavaScript already. Compressed once for each change.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { stripTypeScriptTypes } from 'node:module';
import { gzipSync } from 'node:zlib';

const types: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  ts: 'text/javascript; charset=utf-8',
};

/** What the page may do: nothing from elsewhere. Its networks are computed by WebAssembly that it makes itself. */
const POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src 'self' data: blob:; frame-ancestors 'none'; form-action 'none'; base-uri 'none'";

/** Where the page's files lie, by the first part of their path. */
const folders: Readonly<Record<string, URL>> = {
  '': new URL('../assets/', import.meta.url),
  page: new URL('./page/', import.meta.url),
  uplot: new URL('./', import.meta.resolve('uplot/dist/uPlot.esm.js')),
  tensor: new URL('../', import.meta.resolve('@kasane/tensor/nn/model')),
  protocol: new URL('./', import.meta.resolve('@kasane/protocol/reasons')),
};
const ENDING = import.meta.url.slice(import.meta.url.lastIndexOf('.'));

interface Served {
  readonly changedAt: number;
  readonly type: string;
  readonly plain: Buffer;
  readonly compressed: Buffer;
}
const served = new Map<string, Served>();

/** Answers with a file, if there is one at `path`. */
export function serveFile(path: string, request: IncomingMessage, response: ServerResponse): boolean {
  const file = find(path);
  if (!file) return false;
  const { type, plain, compressed } = load(file);
  const packs = /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''));
  response.writeHead(200, {
    'content-type': type,
    'content-security-policy': POLICY,
    vary: 'accept-encoding',
    ...(packs && { 'content-encoding': 'gzip' }),
  });
  response.end(packs ? compressed : plain);
  return true;
}

function find(path: string): URL | undefined {
  const found = /^\/(?:(page|uplot|tensor|protocol)\/)?((?:[\w-]+\/)*[\w.-]*)$/.exec(path);
  if (!found || found[2]!.split('/').includes('..')) return undefined;
  const file = new URL(found[2] || 'index.html', folders[found[1] ?? '']);
  // In the published package the page's modules are JavaScript already.
  const candidates = [file, new URL(file.href.replace(/\.ts$/, '.js'))];
  return candidates.find((one) => types[one.pathname.split('.').at(-1)!] && existsSync(one));
}

function load(file: URL): Served {
  const changedAt = statSync(file).mtimeMs;
  const known = served.get(file.href);
  if (known?.changedAt === changedAt) return known;
  const ending = file.pathname.split('.').at(-1)!;
  const text = readFileSync(file, 'utf8');
  const script = ending === 'ts' ? withoutTypes(text) : text.replace('<!-- modules -->', () => preloads());
  const plain = Buffer.from(ending === 'ts' || ending === 'js' ? smaller(script, file) : script);
  const fresh = { changedAt, type: types[ending]!, plain, compressed: gzipSync(plain) };
  served.set(file.href, fresh);
  return fresh;
}

/** Links to all modules that the page begins with: it asks for them at once, not for each when the one before it has been read. */
function preloads(): string {
  const found = new Set<string>();
  const visit = (path: string) => {
    if (found.has(path)) return;
    found.add(path);
    const file = find(path);
    if (!file) return;
    for (const [, name] of load(file)
      .plain.toString()
      .matchAll(/^(?:import|export|\}) .*?from '([^']+)'/gm))
      visit(new URL(name!, `http://page${path}`).pathname);
  };
  visit(`/page/app${ENDING}`);
  return [...found].map((path) => `<link rel="modulepreload" href="${path}">`).join('\n    ');
}

/** Without comments and what stripped types have left: a third of what would be sent. uPlot keeps the block with its licence. */
function smaller(script: string, file: URL): string {
  const own = !file.href.startsWith(folders.uplot!.href);
  const code = own ? browserImports(script).replaceAll(/^[ \t]*\/\*\*[\s\S]*?\*\/[ \t]*\n/gm, '') : script;
  return code.replaceAll(/^[ \t]*\/\/.*\n/gm, '').replaceAll(/[ \t]+$/gm, '');
}

/** Browsers know no packages: imports by name become paths of this server. */
const browserImports = (script: string): string =>
  script
    .replaceAll(
      /(from|import\()\s*'@kasane\/(tensor|protocol)\/(?:internal\/)?([\w/-]+)'/g,
      (_, word, room, path) => `${word} '/${room}/${path}${ENDING}'`,
    )
    .replaceAll(/from 'uplot'/g, "from '/uplot/uPlot.esm.js'");

/** Node says once that this is experimental; whoever opens the page from source can do nothing about it. */
function withoutTypes(text: string): string {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return stripTypeScriptTypes(text);
  } finally {
    process.emitWarning = emitWarning;
  }
}

/** Answers requests for the page's files. */
import { readdirSync, readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { extname } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { PageFiles } from './bundle.ts';

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.map': 'application/json; charset=utf-8',
};

/** What the page may do: nothing from elsewhere. Its networks are computed by WebAssembly that it makes itself. */
const POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src 'self' data: blob:; frame-ancestors 'none'; form-action 'none'; base-uri 'none'";

const isSource = import.meta.url.endsWith('.ts');
let files: Promise<PageFiles> | undefined;
let isBundling = false;
/** Contents to what they are compressed. */
const compressed = new WeakMap<Uint8Array, Buffer>();

/** Answers with a file, if there is one at `path`. */
export async function serveFile(
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  const name = path === '/' ? 'index.html' : path.slice(1);
  // From a checkout, a reload shows what has changed. One bundling at a time: each keeps a core busy, and many need gigabytes.
  if (!files || (isSource && path === '/' && !isBundling))
    files = isSource ? bundleSources() : Promise.resolve(readBundle());
  const content = (await files).get(name);
  if (!content) return false;
  const packs = /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''));
  response.writeHead(200, {
    'content-type': types[extname(name)]!,
    'content-security-policy': POLICY,
    vary: 'accept-encoding',
    ...(packs && { 'content-encoding': 'gzip' }),
  });
  response.end(packs ? compress(content) : content);
  return true;
}

async function bundleSources(): Promise<PageFiles> {
  isBundling = true;
  try {
    const { bundlePage } = await import('./bundle.ts');
    return await bundlePage(true);
  } finally {
    isBundling = false;
  }
}

/** What scripts/build.mjs bundled for the published package. */
function readBundle(): PageFiles {
  const folder = new URL('./bundle/', import.meta.url);
  return new Map(readdirSync(folder).map((name) => [name, readFileSync(new URL(name, folder))]));
}

function compress(content: Uint8Array): Buffer {
  let packed = compressed.get(content);
  if (!packed) {
    packed = gzipSync(content);
    compressed.set(content, packed);
  }
  return packed;
}

/**
 * The page as the browser loads it: esbuild makes a few scripts and a stylesheet of src/page and assets. From a checkout the server bundles
 * whenever the page is opened, so that a reload shows a change; scripts/build.mjs does it once for the published package.
 */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Metafile } from 'esbuild';

/** File names and contents; index.html is one of them. */
export type PageFiles = ReadonlyMap<string, Uint8Array>;

const pathOf = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

/** @param sourceMaps for whoever works on the page */
export async function bundlePage(sourceMaps: boolean): Promise<PageFiles> {
  const { outputFiles, metafile } = await build({
    entryPoints: { app: pathOf('./page/app.ts'), style: pathOf('../assets/style.css') },
    absWorkingDir: pathOf('..'),
    outdir: 'page',
    bundle: true,
    // What only some visitors need (Japanese texts, networks that run in the page) comes when it is imported.
    splitting: true,
    format: 'esm',
    target: ['chrome120', 'firefox121', 'safari17'],
    minify: true,
    legalComments: 'eof',
    sourcemap: sourceMaps ? 'linked' : false,
    metafile: true,
    write: false,
    logLevel: 'silent',
  });
  const files = new Map<string, Uint8Array>();
  for (const { path, contents } of outputFiles) files.set(basename(path), contents);
  const page = readFileSync(pathOf('../assets/index.html'), 'utf8');
  files.set('index.html', Buffer.from(page.replace('<!-- preloads -->', () => preloads(metafile))));
  return files;
}

/** Links to the scripts that the first one imports: the browser asks for all of them at once. */
function preloads({ outputs }: Metafile): string {
  const imported = outputs['page/app.js']!.imports.filter(({ kind }) => kind === 'import-statement');
  return imported.map(({ path }) => `<link rel="modulepreload" href="/${basename(path)}">`).join('\n    ');
}

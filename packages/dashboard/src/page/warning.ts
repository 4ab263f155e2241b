/** What is wrong with a network, as a sentence. */
import type { Finding } from './diagnose.ts';
import type { Words } from './text.ts';

/** Layers that are named. */
const NAMED = 3;

export function warningOf(t: Words, finding: Finding): string {
  const { trouble, layers, of } = finding;
  const names = layers.slice(0, NAMED);
  return t.warnings[trouble](t.someLayers(names, layers.length - names.length, of), finding);
}

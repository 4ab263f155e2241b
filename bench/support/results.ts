/** What benchmarks print and leave behind: Markdown tables, and JSON in bench/results. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import type { Peer } from './peers.ts';
import type { Figure } from './turns.ts';

/** 'AMD EPYC, Node v24.21.0'. */
export const machine = (): string => `${cpus()[0]?.model ?? 'unknown CPU'}, Node ${process.version}`;

/** 'AMD EPYC, Node v24.21.0, one thread, kernel 5x16'. */
export const machineWith = (kernel: string): string => `${machine()}, one thread, kernel ${kernel}`;

export type Cells = readonly (string | number)[];

/** Prints the head of a Markdown table; what it returns prints a row. */
export function openTable(headings: readonly string[]): (cells: Cells) => void {
  const line = (cells: Cells) => console.log(`| ${cells.join(' | ')} |`);
  line(headings);
  console.log(`${'|---'.repeat(headings.length)}|`);
  return line;
}

export const peerHeadings = (peers: readonly Peer[], unit: string): string[] =>
  peers.flatMap(({ name }) => [`${name}, ${unit}`, 'ratio']);

/** For each peer its figure and our CPU time divided by its: below 1 ours is the faster. Empty where it does not have the work. */
export const peerCells = (
  own: Figure,
  figures: readonly (Figure | undefined)[],
  cell: (figure: Figure) => string,
): string[] =>
  figures.flatMap((figure) => (figure ? [cell(figure), (own.cpu / figure.cpu).toFixed(2)] : ['', '']));

/** By the peers' names, as JSON has it. */
export const byPeer = (
  peers: readonly Peer[],
  figures: readonly (Figure | undefined)[],
): Record<string, Figure> =>
  Object.fromEntries(
    peers.flatMap(({ name }, index) => {
      const figure = figures[index];
      return figure ? [[name, figure]] : [];
    }),
  );

/** Writes bench/results/NAME.json. */
export function writeResults(
  name: string,
  machine: string,
  peers: readonly Pick<Peer, 'name' | 'version'>[],
  results: readonly unknown[],
): void {
  const folder = join(import.meta.dirname, '../results');
  mkdirSync(folder, { recursive: true });
  const versions = Object.fromEntries(peers.map((peer) => [peer.name, peer.version]));
  const text = JSON.stringify({ machine, peers: versions, results }, undefined, 1);
  writeFileSync(join(folder, `${name}.json`), `${text}\n`);
}

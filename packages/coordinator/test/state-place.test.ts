/** Folders in a state directory that may be moved away at any moment. */
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { StatePlace } from '../src/store/state-place.ts';

let parent: string;
let state: string;
let place: StatePlace;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'kasane-place-'));
  state = join(parent, 'state');
  mkdirSync(state);
  writeFileSync(join(state, 'kasane.sqlite'), '');
  place = StatePlace.of(join(state, 'kasane.sqlite'));
});
afterEach(() => rmSync(parent, { recursive: true }));

it('makes folders, also those that are there', async () => {
  for (const _ of [1, 2]) await place.folder(join(state, 'jobs', 'one'));
  expect(existsSync(join(state, 'jobs', 'one'))).toBe(true);
});

it('never makes the state directory anew, also where it goes between the look and the making', async () => {
  // The look is in a thread: it finds what was there, and by then the directory is gone.
  place.require = async () => renameSync(state, `${state}.away`);
  await expect(place.folder(join(state, 'jobs', 'one'))).rejects.toThrow(
    /has been moved or removed; move it back/,
  );
  expect(existsSync(state)).toBe(false);
});

it("passes on the system's own error where the directory is in its place", async () => {
  writeFileSync(join(state, 'jobs'), '');
  await expect(place.folder(join(state, 'jobs', 'one'))).rejects.toThrow(/ENOTDIR/);
});

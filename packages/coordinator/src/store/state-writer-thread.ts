/** The thread behind `ThreadWriter`: waits for the disk, and for others who write, so that nobody else has to. */
import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { writeAll } from './state-database.ts';
import { type Opened, StateAway, StatePlace } from './state-place.ts';
import type { WriteRequest, WriteResponse } from './state-writer.ts';

/** After so long, in milliseconds, a lock of somebody else is told. */
const BUSY_MS = 1000;

const opened = workerData as Opened;
const place = new StatePlace(opened);
place.requireSync();
const database = new DatabaseSync(opened.path, { timeout: BUSY_MS });
database.exec('PRAGMA synchronous = FULL');

parentPort!.on('message', (request: WriteRequest | undefined) => {
  if (request === undefined) {
    database.close();
    parentPort!.close();
    return;
  }
  const { id, statements } = request;
  let response: WriteResponse = { id };
  try {
    place.requireSync();
    writeAll(database, statements);
  } catch (error) {
    const { message, errcode } = error as Error & { errcode?: number };
    response = {
      id,
      error: { message, errcode, away: error instanceof StateAway ? error.reason : undefined },
    };
  }
  parentPort!.postMessage(response);
});

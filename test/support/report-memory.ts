/** Preloaded into a process with IPC (NODE_OPTIONS=--import=...): answers each `inUse` with the bytes that are in use, without garbage. */
import { isMainThread } from 'node:worker_threads';
import { bytesInUse } from './in-use.ts';

if (isMainThread)
  process.on('message', (asked) => {
    if (asked === 'inUse') process.send!({ inUse: bytesInUse() });
  });

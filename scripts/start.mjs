// `npm start`: sets the checkout up if need be, then runs `kasane train` with the arguments given after `--`.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { nodeBinary, root, setUp } from './setup.mjs';

setUp();

const kasane = join(root, 'packages/cli/src/bin.js');
const child = spawn(nodeBinary, [kasane, 'train', ...process.argv.slice(2)], { stdio: 'inherit' });

// The command cleans up when it gets a signal, and takes a second one as the same request: a terminal signals both of us.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));

child.on('error', (error) => {
  process.stderr.write(`error: ${nodeBinary} could not be started: ${error.message}\n`);
  process.exitCode = 1;
});
child.on('exit', (code, signal) => {
  if (signal === null) {
    process.exitCode = code;
    return;
  }
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});

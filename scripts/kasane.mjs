// `npm run -s kasane -- ...`, and `npm start`, which is `kasane train`: sets the checkout up if need be, then runs the command.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { isatty } from 'node:tty';
import { nodeBinary, root, setUp } from './setup.mjs';

setUp();

const kasane = join(root, 'packages/cli/src/bin.js');
// npm runs scripts in the checkout's root; paths are meant from where the command was typed.
const byNpm = ['start', 'kasane'].includes(process.env.npm_lifecycle_event);
// Arguments may hold secrets, which other users of the machine see.
process.title = 'kasane';
const { args, env } = withoutTokens(process.argv.slice(2));
const child = spawn(nodeBinary, [kasane, ...args], {
  // The channel closes however this process dies: the command then stops, too (packages/cli/src/process/launcher.ts).
  stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  env: { ...env, KASANE_LAUNCHED: '1' },
  // Not process.cwd(): there may be none any more, which the command says.
  cwd: (byNpm && process.env.INIT_CWD) || undefined,
});

// The command cleans up when it gets a signal, and takes a second one at once as the same request: a terminal signals both of us.
// Under nohup it goes on when the terminal is closed (packages/cli/src/process/hangup.ts), and so do we.
const outlivesTerminal = ![0, 1, 2].some((stream) => isatty(stream));
let hasHungUp = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => {
    if (signal === 'SIGHUP' && outlivesTerminal) hasHungUp = true;
    else child.kill(signal);
  });

// SIGTERM for npm reaches the shell between npm and us, and nobody further: that it is gone is the same request.
// They do not outlive a terminal, either: we then go on without them.
const parent = process.ppid;
const orphaned = setInterval(() => {
  if (!byNpm || process.ppid === parent) return;
  clearInterval(orphaned);
  if (!hasHungUp) child.kill('SIGTERM');
}, 500).unref();

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

/** The arguments without tokens, and an environment that has them: only this user can read that. */
function withoutTokens(given) {
  const env = Object.assign({}, process.env);
  const args = [];
  for (let i = 0; i < given.length; i++) {
    const [, name, value] = /^--(token|metrics-token)(?:=(.*))?$/s.exec(given[i]) || [];
    if (name === undefined || (value === undefined && i + 1 === given.length)) args.push(given[i]);
    else
      env[name === 'token' ? 'KASANE_TOKEN' : 'KASANE_METRICS_TOKEN'] =
        value === undefined ? given[++i] : value;
  }
  return { args, env };
}

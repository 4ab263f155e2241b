/** The Python that has PyTorch: the one that bench/peers/setup.sh has installed, or else Debian's. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const installed = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'kasane/peers/python3');

/** Default of `--python`. */
export const defaultPython = existsSync(installed) ? installed : '/usr/bin/python3';

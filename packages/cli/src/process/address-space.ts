/**
 * The limit on addresses, before it is reached: V8 says in its own words, or in a thread that ends, that no memory is left, of which there
 * is plenty.
 */
import { KasaneError } from '@kasane/protocol/errors';
import { addressSpaceLimit } from '@kasane/tensor/internal/node/address-space';

const GIB = 2 ** 30;
/** V8 reserves so much for a memory, so that the processor checks its bounds. */
const PER_MEMORY = 10 * GIB;
/** Of a process without compute threads; each of those has another. */
const MEMORIES = 3;
/** What Node reserves for each thread, however little it uses, and threads of a process without compute threads. */
const PER_THREAD = GIB;
const THREADS = 6;
/** With it, a memory takes the addresses that it uses. Node does so by itself where there are fewer than for a single memory. */
const WITHOUT = '--disable-wasm-trap-handler';

/** @param slots compute threads of a process @throws KasaneError BACKEND */
export function requireAddressSpace(
  slots = 1,
  limit = addressSpaceLimit(),
  flags = `${process.env.NODE_OPTIONS} ${process.execArgv.join(' ')}`,
): void {
  const few = PER_THREAD * (THREADS + Math.min(slots, 2));
  // V8 ends the process, in its own words and with a stack, when it cannot have them.
  if (limit !== undefined && limit < few)
    throw new KasaneError(
      'BACKEND',
      `the limit of ${Math.floor(limit / GIB)} GiB on the address space is too low: Node's threads reserve at least ${few / GIB} GiB; raise it (ulimit -v unlimited)`,
    );
  const least = PER_MEMORY * (MEMORIES + slots);
  if (limit === undefined || limit < PER_MEMORY || limit >= least || flags.includes(WITHOUT)) return;
  throw new KasaneError(
    'BACKEND',
    `the limit of ${Math.floor(limit / GIB)} GiB on the address space is too low for WebAssembly: raise it (ulimit -v unlimited), or set NODE_OPTIONS=${WITHOUT}, which is slower`,
  );
}

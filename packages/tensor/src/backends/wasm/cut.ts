/**
 * Kernels for several threads. All of them run the same code over the same memory, and each does its part: so many rows, columns, images
 * or elements of the result, which it finds by its own number. No sum is cut, so that the bits are the same however many there are.
 */
import { FunctionBuilder, type Local } from '../../assembler.ts';
import { type Address, THREAD } from './address.ts';

/** Among how many threads work is divided, and from which size on. */
export interface Sharing {
  readonly threads: number;
  /** Whatever can be cut is, however small: for tests. */
  readonly eager?: boolean | undefined;
}

export const alone: Sharing = { threads: 1 };

/** What code for several threads is made with. */
export interface Team extends Sharing {
  /** Index of the function in which each waits for all others. */
  readonly barrier: number;
}

/** Units in parts: the first `whole` threads take `each`, the next one takes `rest`, further ones nothing. */
export interface Cut {
  readonly each: number;
  readonly whole: number;
  readonly rest: number;
  /** How much of the threads' time is used: 1 where all take equally many. */
  readonly use: number;
}

/** @param grain parts are multiples of so many units, except for the last */
export function cutOf(units: number, threads: number, grain = 1): Cut {
  const each = Math.max(1, grain * Math.ceil(units / grain / threads));
  const whole = Math.floor(units / each);
  return { each, whole, rest: units - whole * each, use: units / (each * threads) };
}

/** Emits what each thread does: `body` once for each size of a part; a thread without a part does nothing. */
export function emitParts(
  f: FunctionBuilder,
  cut: Cut,
  threads: number,
  body: (count: number) => void,
): void {
  const { each, whole, rest } = cut;
  if (whole === threads) {
    body(each);
    return;
  }
  if (whole > 0)
    f.global(THREAD)
      .i32(whole)
      .op('i32LtU')
      .when(() => body(each));
  if (rest > 0) onThread(f, whole, () => body(rest));
}

/** The same for a body that takes one unit, and the next one each time: its code is emitted once. */
export function eachOfPart(f: FunctionBuilder, { each, whole, rest }: Cut, body: () => void): void {
  const left = f.local('i32');
  const is = (op: 'i32LtU' | 'i32Eq') => f.global(THREAD).i32(whole).op(op);
  f.i32(each).i32(rest).i32(0);
  is('i32Eq').op('select');
  is('i32LtU').op('select').set(left);
  f.whilst(
    () => f.get(left),
    () => {
      body();
      f.advance(left, -1);
    },
  );
}

/** Emits what one thread does alone. */
export function onThread(f: FunctionBuilder, thread: number, body: () => void): void {
  f.global(THREAD).i32(thread).op('i32Eq').when(body);
}

/** A local that is to begin at an address, and how many bytes lie there between one unit and the next. */
interface Pointer {
  readonly local: Local;
  readonly at: number;
  readonly apart: number;
}

/**
 * Emits what is done for panels of so many columns, and for one of those that are left over: by all threads if there are several.
 * @param pointers to what the first panel has; `one` moves them to the next
 */
export function emitPanels(
  f: FunctionBuilder,
  { width, columns }: { readonly width: number; readonly columns: number },
  pointers: readonly Pointer[],
  team: Team | undefined,
  one: (columns: number) => void,
): void {
  const whole = Math.floor(width / columns);
  const rest = width - whole * columns;
  for (const { local, at } of pointers) f.i32(at).set(local);
  if (!team) {
    f.repeat(whole, () => one(columns));
    if (rest > 0) one(rest);
    return;
  }
  const cut = cutOf(whole, team.threads);
  for (const { local, apart } of pointers) moveToPart(f, cut, local, apart);
  eachOfPart(f, cut, () => one(columns));
  if (rest === 0) return;
  onThread(f, team.threads - 1, () => {
    for (const { local, at, apart } of pointers) f.i32(at + whole * apart).set(local);
    one(rest);
  });
}

/** Pushes the first unit of a thread's part, times a number. */
export const pushFirst = (f: FunctionBuilder, { each }: Cut, times = 1): FunctionBuilder =>
  f
    .global(THREAD)
    .i32(each * times)
    .op('i32Mul');

/** Moves a pointer to where a thread's part begins, of units that lie so many bytes apart. */
export const moveToPart = (f: FunctionBuilder, cut: Cut, pointer: Local, bytes: number): FunctionBuilder =>
  pushFirst(f, cut, bytes).get(pointer).op('i32Add').set(pointer);

/** Where a thread's part begins, of a tensor at `at` whose units lie so many bytes apart. */
export const ofPart = (f: FunctionBuilder, cut: Cut, at: number, bytes: number): Address =>
  bytes === 0 ? at : { at, by: `${bytes} a unit`, push: () => pushFirst(f, cut, bytes) };

/** Elements of a cache line: no two threads write to one. */
export const LINE = 16;

/** The axis along which a cut leaves the fewest threads without work: the first of those that are nearly as good. */
export function bestCut(
  axes: readonly { readonly extent: number }[],
  threads: number,
): { readonly axis: number; readonly cut: Cut } | undefined {
  const candidates = axes.map(({ extent }, axis) => ({
    axis,
    cut: cutOf(extent, threads, axis === axes.length - 1 ? LINE : 1),
  }));
  const most = Math.max(...candidates.map(({ cut }) => cut.use));
  return candidates.find(({ cut }) => cut.use >= 0.9 * most);
}

/**
 * Multiplications and additions below which a kernel is computed by one thread: some 20 microseconds. Waiting costs half of one where
 * nobody else needs the cores, and much more elsewhere; and what one thread has computed another has to fetch from its cache.
 */
const LEAST_PRODUCTS = 2 ** 20;
/** The same of elements that are read or written. */
const LEAST_ELEMENTS = 2 ** 17;

/** How many threads so much work is worth: at least half of the least for each. */
function worth({ threads, eager }: Sharing, work: number, least: number): number {
  if (eager) return work > 0 ? threads : 1;
  return work < least ? 1 : Math.min(threads, Math.floor((2 * work) / least));
}

/** How many threads so many multiplications and additions are worth. */
export const threadsForProducts = (sharing: Sharing, products: number): number =>
  worth(sharing, products, LEAST_PRODUCTS);
/** The same of elements that are read or written. */
export const threadsForElements = (sharing: Sharing, elements: number): number =>
  worth(sharing, elements, LEAST_ELEMENTS);

/** Bytes of the words below, each on a cache line of its own. */
export const BARRIER_BYTES = 256;
/** Byte offsets: threads that wait, barriers that have been passed, threads that sleep, and whether the run was given up. */
export const WAITING = 0;
export const PASSED = 64;
export const SLEEPING = 128;
export const GIVEN_UP = 192;

/** Rounds that a thread looks whether the others have come before it sleeps: some 20 microseconds. */
const ROUNDS = 20_000;

/** A function in which each thread waits for all others; it traps where the run was given up. */
export function buildBarrier(words: number, threads: number): FunctionBuilder {
  const f = new FunctionBuilder();
  const [passed, left] = [f.local('i32'), f.local('i32')];
  const isBefore = () => f.i32(words).atomic('i32Load', PASSED).get(passed).op('i32Eq');
  // Before it is asked whether the run was given up: whoever gives it up passes the barrier for all.
  f.i32(words).atomic('i32Load', PASSED).set(passed);
  f.i32(words)
    .atomic('i32Load', GIVEN_UP)
    .when(() => f.op('unreachable'));
  f.i32(words)
    .i32(1)
    .atomic('i32Add', WAITING)
    .i32(threads - 1)
    .op('i32Eq');
  f.either(
    () => {
      f.i32(words).i32(0).atomic('i32Store', WAITING);
      f.i32(words).i32(1).atomic('i32Add', PASSED).op('drop');
      f.i32(words).atomic('i32Load', SLEEPING);
      f.when(() => f.i32(words).i32(threads).atomic('notify', PASSED).op('drop'));
    },
    () => {
      f.i32(ROUNDS).set(left);
      f.whilst(
        () => {
          isBefore();
          f.get(left).i32(0).op('i32Ne', 'i32And');
        },
        () => f.advance(left, -1),
      );
      f.whilst(isBefore, () => {
        f.i32(words).i32(1).atomic('i32Add', SLEEPING).op('drop');
        f.i32(words).get(passed).i64(-1).atomic('wait32', PASSED).op('drop');
        f.i32(words).i32(-1).atomic('i32Add', SLEEPING).op('drop');
      });
      f.i32(words)
        .atomic('i32Load', GIVEN_UP)
        .when(() => f.op('unreachable'));
    },
  );
  return f;
}

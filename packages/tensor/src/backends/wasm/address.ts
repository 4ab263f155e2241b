/** Where a tensor begins: known when the code is made, or only when it runs. */
import type { FunctionBuilder, Local } from '../../assembler.ts';

/** An address that is so many bytes behind what `push` leaves on the stack. Those with the same name in `by` move together. */
export interface MovingAddress {
  readonly at: number;
  readonly by: string;
  readonly push: () => void;
}

export type Address = number | MovingAddress;

/** Sets a local to an address. */
export function setAddress(f: FunctionBuilder, local: Local, address: Address): void {
  pushAddress(f, address).set(local);
}

export function pushAddress(f: FunctionBuilder, address: Address): FunctionBuilder {
  if (typeof address === 'number') return f.i32(address);
  address.push();
  return f.i32(address.at).op('i32Add');
}

/** Memory of which every thread has its own: where the first thread's begins, and bytes from one thread's to the next. */
export interface OwnAddress {
  readonly at: number;
  readonly apart: number;
}

/** Where a thread's own memory begins: a plain number where there is only one thread (`apart` 0). */
export const ownAddress = (f: FunctionBuilder, { at, apart }: OwnAddress): Address =>
  apart === 0 ? at : { at, by: `own ${apart}`, push: () => f.global(THREAD).i32(apart).op('i32Mul') };

/** Index of the global that has the number of the thread that runs the code, in modules that are made for several. */
export const THREAD = 0;

/** The address of what lies so many bytes behind another. */
export const behind = (address: Address, bytes: number): Address =>
  typeof address === 'number' ? address + bytes : { ...address, at: address.at + bytes };

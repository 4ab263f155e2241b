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
  if (typeof address === 'number') f.i32(address).set(local);
  else {
    address.push();
    f.i32(address.at).op('i32Add').set(local);
  }
}

/** The address of what lies so many bytes behind another. */
export const behind = (address: Address, bytes: number): Address =>
  typeof address === 'number' ? address + bytes : { ...address, at: address.at + bytes };

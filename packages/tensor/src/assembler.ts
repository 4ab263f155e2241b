/**
 * A small WebAssembly assembler: functions as byte sequences, and a module with one imported memory. It knows the binary
 * format (sections, LEB128, the instructions that the kernels use), and nothing of tensors.
 */

export const valueTypes = { i32: 0x7f, f32: 0x7d, v128: 0x7b } as const;
export type ValueType = keyof typeof valueTypes;

/** Instructions without immediates. Those of two numbers are SIMD (prefix 0xfd). */
const plain = {
  unreachable: [0x00],
  return: [0x0f],
  drop: [0x1a],
  select: [0x1b],
  i32Eqz: [0x45],
  i32Eq: [0x46],
  i32Ne: [0x47],
  i32LtU: [0x49],
  i32GeU: [0x4f],
  i32Add: [0x6a],
  i32Sub: [0x6b],
  i32Mul: [0x6c],
  i32DivU: [0x6e],
  i32RemU: [0x70],
  i32And: [0x71],
  i32Shl: [0x74],
  i32ShrU: [0x76],
  f32Eq: [0x5b],
  f32Le: [0x5f],
  f32Add: [0x92],
  f32Mul: [0x94],
  f32Max: [0x97],
  f64x2Eq: [0xfd, 0x47],
  f64x2Ne: [0xfd, 0x48],
  f64x2Lt: [0xfd, 0x49],
  f64x2Gt: [0xfd, 0x4a],
  f64x2Le: [0xfd, 0x4b],
  f64x2Ge: [0xfd, 0x4c],
  f32x4DemoteZero: [0xfd, 0x5e],
  f64x2Floor: [0xfd, 0x75],
  i64x2Shl: [0xfd, 0xcb],
  i64x2ShrS: [0xfd, 0xcc],
  i64x2ShrU: [0xfd, 0xcd],
  i64x2Add: [0xfd, 0xce],
  i64x2Sub: [0xfd, 0xd1],
  i64x2Eq: [0xfd, 0xd6],
  i32x4Splat: [0xfd, 0x11],
  f32x4Splat: [0xfd, 0x13],
  f32x4Eq: [0xfd, 0x41],
  f32x4Ne: [0xfd, 0x42],
  f32x4Lt: [0xfd, 0x43],
  f32x4Gt: [0xfd, 0x44],
  f32x4Le: [0xfd, 0x45],
  f32x4Ge: [0xfd, 0x46],
  i32x4GeU: [0xfd, 0x40],
  i32x4Eq: [0xfd, 0x37],
  i32x4GtS: [0xfd, 0x3b],
  v128Not: [0xfd, 0x4d],
  v128AnyTrue: [0xfd, 0x53],
  v128And: [0xfd, 0x4e],
  v128Andnot: [0xfd, 0x4f],
  v128Or: [0xfd, 0x50],
  v128Xor: [0xfd, 0x51],
  v128Bitselect: [0xfd, 0x52],
  f32x4Floor: [0xfd, 0x68],
  f32x4Nearest: [0xfd, 0x6a],
  i32x4Shl: [0xfd, 0xab],
  i32x4ShrS: [0xfd, 0xac],
  i32x4ShrU: [0xfd, 0xad],
  i32x4Add: [0xfd, 0xae],
  i32x4Sub: [0xfd, 0xb1],
  i32x4MinU: [0xfd, 0xb7],
  i32x4MaxS: [0xfd, 0xb8],
  i32x4Mul: [0xfd, 0xb5],
  i64x2ExtmulLowU: [0xfd, 0xde],
  i64x2ExtmulHighU: [0xfd, 0xdf],
  f32x4Abs: [0xfd, 0xe0],
  f32x4Neg: [0xfd, 0xe1],
  f32x4Sqrt: [0xfd, 0xe3],
  f32x4Add: [0xfd, 0xe4],
  f32x4Sub: [0xfd, 0xe5],
  f32x4Mul: [0xfd, 0xe6],
  f32x4Div: [0xfd, 0xe7],
  f32x4Min: [0xfd, 0xe8],
  f32x4Max: [0xfd, 0xe9],
  f32x4Pmin: [0xfd, 0xea],
  f32x4Pmax: [0xfd, 0xeb],
  f32x4RelaxedMadd: [0xfd, 0x105],
  f64x2PromoteLow: [0xfd, 0x5f],
  f64x2Add: [0xfd, 0xf0],
  f64x2Mul: [0xfd, 0xf2],
  f64x2Abs: [0xfd, 0xec],
  f64x2Neg: [0xfd, 0xed],
  f64x2Sub: [0xfd, 0xf1],
  f64x2Div: [0xfd, 0xf3],
  f64x2Min: [0xfd, 0xf4],
  f64x2Max: [0xfd, 0xf5],
  f64x2Pmin: [0xfd, 0xf6],
  f64x2Pmax: [0xfd, 0xf7],
  i32x4TruncSatS: [0xfd, 0xf8],
  f32x4ConvertS: [0xfd, 0xfa],
} as const;
export type PlainInstruction = keyof typeof plain;

/** Instructions that read or write memory: opcode and the exponent of the alignment that is promised. */
const memory = {
  i32Load: [[0x28], 2],
  i32Store: [[0x36], 2],
  f32Load: [[0x2a], 2],
  f32Store: [[0x38], 2],
  v128Load: [[0xfd, 0x00], 2],
  v128Load32Splat: [[0xfd, 0x09], 2],
  v128Load32Zero: [[0xfd, 0x5c], 2],
  v128Store: [[0xfd, 0x0b], 2],
} as const;
export type MemoryInstruction = keyof typeof memory;

/** Instructions on words that threads share (prefix 0xfe); a memory that is waited on must be shared. */
const atomic = {
  notify: 0x00,
  wait32: 0x01,
  i32Load: 0x10,
  i32Store: 0x17,
  i32Add: 0x1e,
} as const;
export type AtomicInstruction = keyof typeof atomic;

function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? low | 0x80 : low);
  } while (rest > 0);
  return bytes;
}

function signed(value: number): number[] {
  const bytes: number[] = [];
  let rest = value | 0;
  for (;;) {
    const low = rest & 0x7f;
    rest >>= 7;
    const done = (rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0);
    bytes.push(done ? low : low | 0x80);
    if (done) return bytes;
  }
}

const simd = (opcode: readonly number[]) =>
  opcode[0] === 0xfd ? [0xfd, ...unsigned(opcode[1]!)] : [...opcode];
const float32 = (value: number) => [...new Uint8Array(Float32Array.of(value).buffer)];
const int32 = (value: number) => [...new Uint8Array(Int32Array.of(value).buffer)];

/** A local of the function under construction. */
export type Local = number & { readonly local: unique symbol };

/** One function: instructions are appended in order; every method returns the builder. */
export class FunctionBuilder {
  readonly parameters: readonly ValueType[];
  readonly #locals: ValueType[] = [];
  readonly #code: number[] = [];
  /** Locals of the constants that loops use, by their bytes. */
  readonly #constants = new Map<string, Local>();

  constructor(parameters: readonly ValueType[] = []) {
    this.parameters = parameters;
  }

  parameter(index: number): Local {
    return index as Local;
  }

  local(type: ValueType): Local {
    this.#locals.push(type);
    return (this.parameters.length + this.#locals.length - 1) as Local;
  }

  op(...instructions: PlainInstruction[]): this {
    for (const instruction of instructions) this.#code.push(...simd(plain[instruction]));
    return this;
  }

  /** Address is on the stack; `offset` bytes are added to it. */
  memory(instruction: MemoryInstruction, offset = 0): this {
    const [opcode, alignment] = memory[instruction];
    this.#code.push(...simd(opcode), alignment, ...unsigned(offset));
    return this;
  }

  /** Address is on the stack; `offset` bytes are added to it. */
  atomic(instruction: AtomicInstruction, offset = 0): this {
    this.#code.push(0xfe, atomic[instruction], 2, ...unsigned(offset));
    return this;
  }

  /** Pushes a number that the module was given (`MemoryImport.globals`). */
  global(index: number): this {
    this.#code.push(0x23, ...unsigned(index));
    return this;
  }

  /** Stores lane 0 of a vector. */
  store32Lane0(offset = 0): this {
    this.#code.push(0xfd, ...unsigned(0x5a), 2, ...unsigned(offset), 0);
    return this;
  }

  extractLane0(): this {
    this.#code.push(0xfd, 0x1f, 0);
    return this;
  }

  get(local: Local): this {
    this.#code.push(0x20, ...unsigned(local));
    return this;
  }

  set(local: Local): this {
    this.#code.push(0x21, ...unsigned(local));
    return this;
  }

  tee(local: Local): this {
    this.#code.push(0x22, ...unsigned(local));
    return this;
  }

  i32(value: number): this {
    this.#code.push(0x41, ...signed(value));
    return this;
  }

  i64(value: number): this {
    this.#code.push(0x42, ...signed(value));
    return this;
  }

  f32(value: number): this {
    this.#code.push(0x43, ...float32(value));
    return this;
  }

  /** The same float32 in all four lanes. */
  f32x4(value: number): this {
    const lane = float32(value);
    return this.#vector([...lane, ...lane, ...lane, ...lane]);
  }

  /** The same float64 in both lanes. */
  f64x2(value: number): this {
    const lane = [...new Uint8Array(Float64Array.of(value).buffer)];
    return this.#vector([...lane, ...lane]);
  }

  /** The same 64-bit integer in both lanes. */
  i64x2(value: number | bigint): this {
    const lane = [...new Uint8Array(BigInt64Array.of(BigInt(value)).buffer)];
    return this.#vector([...lane, ...lane]);
  }

  i32x4(...lanes: readonly [number, number, number, number] | readonly [number]): this {
    const four = lanes.length === 1 ? [lanes[0], lanes[0], lanes[0], lanes[0]] : lanes;
    return this.#vector(four.flatMap(int32));
  }

  /**
   * Pushes a constant: a local that is set where the function begins. Left where it is used, the engine makes it anew in each round of
   * a loop, by way of a general register, which costs more than the arithmetic on it.
   */
  #vector(bytes: readonly number[]): this {
    const key = bytes.join();
    const local = this.#constants.get(key) ?? this.local('v128');
    this.#constants.set(key, local);
    return this.get(local);
  }

  /** 32-bit lanes of two vectors: 0 to 3 of the first, 4 to 7 of the second. */
  shuffle32(a: number, b: number, c: number, d: number): this {
    const bytes = [a, b, c, d].flatMap((lane) => [0, 1, 2, 3].map((byte) => 4 * lane + byte));
    this.#code.push(0xfd, 0x0d, ...bytes);
    return this;
  }

  /** local += value */
  advance(local: Local, value: number): this {
    return value === 0 ? this : this.get(local).i32(value).op('i32Add').set(local);
  }

  call(index: number): this {
    this.#code.push(0x10, ...unsigned(index));
    return this;
  }

  /** Runs `body` `count` times; nothing for 0, no loop for 1. */
  repeat(count: number, body: () => void): this {
    if (count <= 0) return this;
    if (count === 1) {
      body();
      return this;
    }
    const left = this.local('i32');
    this.i32(count).set(left);
    this.#code.push(0x03, 0x40);
    body();
    this.get(left).i32(1).op('i32Sub').tee(left);
    this.#code.push(0x0d, 0, 0x0b);
    return this;
  }

  /** Runs `body` if the number on the stack is not 0. */
  when(body: () => void): this {
    this.#code.push(0x04, 0x40);
    body();
    this.#code.push(0x0b);
    return this;
  }

  /** Runs one of the two by the number on the stack: the first if it is not 0. */
  either(then: () => void, otherwise: () => void): this {
    this.#code.push(0x04, 0x40);
    then();
    this.#code.push(0x05);
    otherwise();
    this.#code.push(0x0b);
    return this;
  }

  /** Runs `body` as long as `condition` leaves a number on the stack that is not 0. */
  whilst(condition: () => void, body: () => void): this {
    this.#code.push(0x02, 0x40, 0x03, 0x40);
    condition();
    this.#code.push(0x45, 0x0d, 1);
    body();
    this.#code.push(0x0c, 0, 0x0b, 0x0b);
    return this;
  }

  /** Runs `body` until `pointer` reaches `end`; the body moves the pointer. */
  until(pointer: Local, end: Local, body: () => void): this {
    this.#code.push(0x02, 0x40, 0x03, 0x40);
    this.get(pointer).get(end).op('i32GeU');
    this.#code.push(0x0d, 1);
    body();
    this.#code.push(0x0c, 0, 0x0b, 0x0b);
    return this;
  }

  /** Size and body as they stand in the code section. */
  encode(): number[] {
    const groups = this.#locals.flatMap((type) => [1, valueTypes[type]]);
    const constants = [...this.#constants].flatMap(([bytes, local]) => [
      ...[0xfd, 0x0c, ...bytes.split(',').map(Number)],
      ...[0x21, ...unsigned(local)],
    ]);
    const body = [...unsigned(this.#locals.length), ...groups, ...constants];
    return [...unsigned(body.length + this.#code.length + 1), ...body, ...this.#code, 0x0b];
  }
}

export interface MemoryImport {
  /** Pages of 64 KiB; the memory has exactly so many. */
  readonly pages: number;
  readonly shared: boolean;
  /** Names of int32 numbers that are imported from env and do not change; default none. */
  readonly globals?: readonly string[];
}

/** A module: functions in order, some exported, the memory imported as env.memory. */
export class ModuleBuilder {
  readonly #memory: MemoryImport;
  readonly #functions: FunctionBuilder[] = [];
  readonly #exports: [name: string, index: number][] = [];

  constructor(memory: MemoryImport) {
    this.#memory = memory;
  }

  /** Returns the function's index for `call`. */
  add(builder: FunctionBuilder, exportName?: string): number {
    const index = this.#functions.push(builder) - 1;
    if (exportName) this.#exports.push([exportName, index]);
    return index;
  }

  encode(): Uint8Array<ArrayBuffer> {
    const utf8 = (name: string) => {
      const bytes = [...new TextEncoder().encode(name)];
      return [...unsigned(bytes.length), ...bytes];
    };
    const vector = (items: readonly (readonly number[])[]) => [...unsigned(items.length), ...items.flat()];
    const section = (id: number, content: readonly number[]) => [id, ...unsigned(content.length), ...content];
    const { pages, shared, globals = [] } = this.#memory;
    const limits = [shared ? 3 : 1, ...unsigned(pages), ...unsigned(pages)];
    const types = this.#functions.map(({ parameters }) => [
      0x60,
      ...vector(parameters.map((type) => [valueTypes[type]])),
      0,
    ]);
    const head = [
      ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      ...section(1, vector(types)),
      ...section(
        2,
        vector([
          [...utf8('env'), ...utf8('memory'), 2, ...limits],
          ...globals.map((name) => [...utf8('env'), ...utf8(name), 3, valueTypes.i32, 0]),
        ]),
      ),
      ...section(3, vector(this.#functions.map((_, index) => unsigned(index)))),
      ...section(7, vector(this.#exports.map(([name, index]) => [...utf8(name), 0, ...unsigned(index)]))),
    ];
    const bodies = this.#functions.map((builder) => builder.encode());
    const count = unsigned(bodies.length);
    const size = bodies.reduce((sum, body) => sum + body.length, count.length);
    const code = [10, ...unsigned(size), ...count];
    const bytes = new Uint8Array(head.length + code.length + size - count.length);
    bytes.set(head);
    let at = head.length;
    for (const part of [code, ...bodies]) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }
}

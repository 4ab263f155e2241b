/** A labelled set of samples, held as bytes. Reading a file format belongs to the file beside this one. */
export interface Dataset {
  readonly samples: number;
  /** Shape of one sample, such as [28, 28]. */
  readonly sampleShape: readonly number[];
  /** One more than the largest label. */
  readonly classes: number;
  /** SHA-256 of pixels and labels, lower-case hex. */
  readonly digest: string;
  /** Copies pixels (uint8, row-major) and labels of the samples at `indices`, in that order. */
  gather(indices: Uint32Array, pixels: Uint8Array, labels: Uint8Array): void;
}

/** A data file that is missing or damaged. The message names the file, what was found and what would be right. */
export class DataError extends Error {
  override readonly name = 'DataError';
}

/** How well a few principal components (Pearson 1901) describe vectors: what an autoencoder with as many numbers is compared with. */

/** Rows of one length. */
export interface Rows {
  readonly values: ArrayLike<number>;
  readonly width: number;
}

/**
 * Mean squared error of the numbers of `test` where each row is its projection on the `count` principal components of `train`, which are
 * found by subspace iteration.
 */
export function componentsError(train: Rows, test: Rows, count: number): number {
  const { width } = train;
  const { mean, covariance } = moments(train);
  let basis = Array.from({ length: count }, (_, c) =>
    Float64Array.from({ length: width }, (_, i) => Math.sin((c + 1) * (i + 1))),
  );
  for (let round = 0; round < 200; round++)
    basis = orthonormal(basis.map((vector) => covariance.map((row) => dot(row, vector))));
  const rows = test.values.length / width;
  let sum = 0;
  for (let row = 0; row < rows; row++) {
    const away = Float64Array.from(mean, (center, i) => test.values[row * width + i]! - center);
    sum += basis.reduce((left, vector) => left - dot(vector, away) ** 2, dot(away, away));
  }
  return sum / test.values.length;
}

function moments({ values, width }: Rows): { mean: Float64Array; covariance: Float64Array[] } {
  const rows = values.length / width;
  const mean = new Float64Array(width);
  for (let i = 0; i < values.length; i++) mean[i % width]! += values[i]! / rows;
  const covariance = Array.from(mean, () => new Float64Array(width));
  const away = new Float64Array(width);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < width; i++) away[i] = values[row * width + i]! - mean[i]!;
    for (let i = 0; i < width; i++) {
      const [own, line] = [away[i]!, covariance[i]!];
      for (let j = 0; j < width; j++) line[j]! += own * away[j]!;
    }
  }
  return { mean, covariance };
}

/** Gram and Schmidt. */
function orthonormal(vectors: readonly ArrayLike<number>[]): Float64Array<ArrayBuffer>[] {
  const basis: Float64Array<ArrayBuffer>[] = [];
  for (const vector of vectors) {
    const rest = Float64Array.from(vector);
    for (const other of basis) {
      const along = dot(other, rest);
      for (let i = 0; i < rest.length; i++) rest[i]! -= along * other[i]!;
    }
    const length = Math.sqrt(dot(rest, rest));
    basis.push(rest.map((value) => value / length));
  }
  return basis;
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** How well one threshold of brightness tells which pixels are in a mask: what segmentation is compared with. */

/** Pixels from 0 to 255, and for each of them 1 if it is in the mask, otherwise 0. */
export interface Masked {
  readonly inputs: ArrayLike<number>;
  readonly targets: ArrayLike<number>;
}

/** Intersection over union, where pixels above the threshold are taken to be in the mask. */
export function overlap({ inputs, targets }: Masked, threshold: number): number {
  let [both, either] = [0, 0];
  for (let i = 0; i < inputs.length; i++) {
    const [is, says] = [targets[i] === 1, inputs[i]! > threshold];
    if (is && says) both++;
    if (is || says) either++;
  }
  return both / Math.max(1, either);
}

/** The one that divides pixels into two classes with the largest variance between them (Otsu 1979). Looks at no mask. */
export function otsuThreshold({ inputs }: Masked): number {
  const histogram = new Float64Array(256);
  for (let i = 0; i < inputs.length; i++) histogram[inputs[i]!]!++;
  const total = histogram.reduce((sum, count, value) => sum + count * value, 0);
  let [below, sumBelow] = [0, 0];
  return bestOf((threshold) => {
    below += histogram[threshold]!;
    sumBelow += histogram[threshold]! * threshold;
    const above = inputs.length - below;
    if (below === 0 || above === 0) return 0;
    return below * above * ((total - sumBelow) / above - sumBelow / below) ** 2;
  });
}

/** The one with the largest overlap. */
export const bestThreshold = (data: Masked): number => bestOf((threshold) => overlap(data, threshold));

/** The first of the 256 with the highest score; each is scored once, in their order. */
function bestOf(score: (threshold: number) => number): number {
  const scores = Array.from({ length: 256 }, (_, threshold) => score(threshold));
  return scores.indexOf(Math.max(...scores));
}

/** Mean average precision of detections, as PASCAL VOC counts it since 2010 (Everingham et al. 2015). */

export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** Something at a place of a picture. */
export interface Thing {
  readonly picture: number;
  readonly kind: number;
  readonly box: Box;
}

/** The higher the score, the surer it is. */
export interface Found extends Thing {
  readonly score: number;
}

/** Intersection over union. */
export function overlap(a: Box, b: Box): number {
  const area = ({ left, top, right, bottom }: Box) => Math.max(0, right - left) * Math.max(0, bottom - top);
  const both = area({
    left: Math.max(a.left, b.left),
    top: Math.max(a.top, b.top),
    right: Math.min(a.right, b.right),
    bottom: Math.min(a.bottom, b.bottom),
  });
  return both / (area(a) + area(b) - both);
}

/** Mean over the kinds that there are. @param least overlap at which something counts as found; each can be found once */
export function meanAveragePrecision(found: readonly Found[], actual: readonly Thing[], least = 0.5): number {
  const kinds = [...new Set(actual.map(({ kind }) => kind))];
  const precisions = kinds.map((kind) => {
    const own = found.filter((one) => one.kind === kind).sort((a, b) => b.score - a.score);
    return averagePrecision(
      own,
      actual.filter((thing) => thing.kind === kind),
      least,
    );
  });
  return precisions.reduce((sum, each) => sum + each, 0) / kinds.length;
}

/** The area below the curve of precision over recall, where no precision is lower than one at a higher recall. @param found surest first */
function averagePrecision(found: readonly Found[], actual: readonly Thing[], least: number): number {
  const left = new Set(actual);
  let hits = 0;
  const curve = found.map(({ picture, box }, i) => {
    const [best] = actual
      .filter((thing) => thing.picture === picture)
      .sort((a, b) => overlap(b.box, box) - overlap(a.box, box));
    const isHit = best !== undefined && overlap(best.box, box) >= least && left.delete(best);
    if (isHit) hits++;
    return { isHit, precision: hits / (i + 1) };
  });
  let [area, highest] = [0, 0];
  for (const { isHit, precision } of curve.reverse()) {
    highest = Math.max(highest, precision);
    if (isHit) area += highest / actual.length;
  }
  return area;
}

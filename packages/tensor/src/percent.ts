/** A fraction for people: 98.23 %. */
export const percentText = (fraction: number): string => `${(100 * fraction).toFixed(2)} %`;

/** So many of something, for people: 1 epoch, 60,000 samples. */
export const count = (many: number, one: string): string =>
  `${many.toLocaleString('en')} ${one}${many === 1 ? '' : 's'}`;

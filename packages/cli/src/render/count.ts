/** Numbers as people read them. */

/** So many of something, for people: 1 epoch, 60,000 samples. */
export const count = (many: number, one: string): string =>
  `${many.toLocaleString('en')} ${one}${many === 1 ? '' : 's'}`;

/** So many bytes: 312 B, 31.2 KiB, 1.5 MiB. */
export const byteSize = (bytes: number): string =>
  bytes < 2 ** 10
    ? `${bytes} B`
    : bytes < 2 ** 20
      ? `${(bytes / 2 ** 10).toFixed(1)} KiB`
      : `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/** How long something took: 22.4 s, 20 min 42 s. */
export function took(seconds: number): string {
  if (seconds < 120) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

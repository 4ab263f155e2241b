/** Waiting for something that may never come. */

/** Waits until it has settled, at most `ms`. Nothing is left of the wait then: a timer would keep a process from ending. */
export async function withLimit(waited: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  const settled = waited.then(
    () => {},
    () => {},
  );
  await Promise.race([settled, late]);
  clearTimeout(timer);
}

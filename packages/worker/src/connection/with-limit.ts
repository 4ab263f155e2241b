/** Waits for a promise to settle, at most `ms`. Clears its timer, which would keep the process from ending. */
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

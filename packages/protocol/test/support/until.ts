/** Waits for what other processes and sockets do. @throws Error when it has not happened in 10 s */
export async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('it did not happen in 10 s');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

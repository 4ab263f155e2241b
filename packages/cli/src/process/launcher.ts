/** The script that starts this process in a checkout (scripts/kasane.mjs) passes signals on. SIGKILL cannot be passed on. */

/** Has this process stop, as SIGTERM asks it to, when the script that started it is gone. */
export function endWithLauncher(): void {
  const isLaunched = process.env.KASANE_LAUNCHED === '1';
  // Not for what this process starts in its turn.
  delete process.env.KASANE_LAUNCHED;
  if (!isLaunched) return;
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
  // The channel alone keeps nobody waiting.
  process.channel?.unref();
}

/** Asks before what cannot be undone. */
import { createInterface } from 'node:readline';

/** Asks on the terminal; whoever ends the input has not agreed. */
export async function isSure(question: string): Promise<boolean> {
  const terminal = createInterface(process.stdin, process.stderr);
  try {
    const answer = await new Promise<string>((resolve) => {
      terminal.once('close', () => resolve(''));
      terminal.question(question, resolve);
    });
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    terminal.close();
  }
}

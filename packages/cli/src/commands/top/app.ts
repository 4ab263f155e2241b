/** `kasane top` on a terminal: shows the screen again when something changes, and does what keys say. All of ink. */
import type { CoordinatorClient } from '@kasane/protocol/client';
import { messageOf } from '@kasane/protocol/errors';
import { Box, type Key, render, Text, useApp, useInput, useWindowSize } from 'ink';
import { createElement, type ReactElement, useEffect, useRef, useState } from 'react';
import { Feed } from './feed.ts';
import { type Choice, chosenJob, type Line, screen, views } from './screen.ts';

export interface TopOptions {
  readonly client: CoordinatorClient;
  /** Its address, to be shown. */
  readonly coordinator: string;
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
}

/** Resolves when the user leaves. */
export async function showTop(options: TopOptions): Promise<void> {
  const { stdin, stdout } = options;
  const app = render(createElement(Top, options), {
    stdin,
    stdout,
    interactive: true,
    alternateScreen: true,
  });
  await app.waitUntilExit();
}

function Top({ client, coordinator }: TopOptions): ReactElement {
  const { exit } = useApp();
  const { columns, rows } = useWindowSize();
  const [, redraw] = useState(0);
  const feed = useRef<Feed | undefined>(undefined);
  feed.current ??= new Feed(client, () => redraw((count) => count + 1));
  const [choice, setChoice] = useState<Choice>({
    ...{ job: '', view: 'curves', help: false, confirm: '', said: '' },
  });
  const { snapshot } = feed.current;
  const job = chosenJob(snapshot, choice);
  useEffect(() => feed.current?.choose(job?.id ?? ''), [job?.id]);
  useEffect(() => () => feed.current?.close(), []);

  const act = (said: string, action: Promise<unknown>) => {
    const say = (text: string) => setChoice((before) => ({ ...before, confirm: '', said: text }));
    action
      .then(
        () => say(said),
        (error: unknown) => say(messageOf(error)),
      )
      .finally(() => feed.current?.refresh());
  };

  useInput((input: string, key: Key) => {
    const { jobs } = snapshot;
    const change = (part: Partial<Choice>) => setChoice({ ...choice, confirm: '', said: '', ...part });
    if (choice.confirm) {
      change({});
      if (input === 'y') act(`${choice.confirm} cancelled`, client.cancel(choice.confirm));
      return;
    }
    const move = (by: number) => {
      const at = job ? jobs.indexOf(job) + by : 0;
      change({ job: jobs[Math.max(0, Math.min(at, jobs.length - 1))]?.id ?? '' });
    };
    if (input === 'q' || key.escape) exit();
    else if (key.upArrow || input === 'k') move(-1);
    else if (key.downArrow || input === 'j') move(1);
    else if (key.tab) change({ view: views[(views.indexOf(choice.view) + 1) % views.length]! });
    else if (/^[123]$/.test(input)) change({ view: views[Number(input) - 1]! });
    else if (input === 'h' || input === '?') change({ help: !choice.help });
    else if (!job) return;
    else if (input === 'p') act(`${job.id} paused`, client.pause(job.id));
    else if (input === 'r') act(`${job.id} continues`, client.resume(job.id, 0));
    else if (input === 'c') change({ confirm: job.id });
    else if (input === '+' || input === '-') {
      const priority = job.priority + (input === '+' ? 1 : -1);
      act(`${job.id} has priority ${priority}`, client.setPriority(job.id, priority));
    }
  });

  const lines = screen(snapshot, choice, { columns, rows, coordinator });
  return createElement(
    Box,
    { flexDirection: 'column', height: rows },
    ...lines.map((line, row) => createElement(Text, { key: row, ...look(line) }, line.text || ' ')),
  );
}

const look = ({ style }: Line) => ({
  wrap: 'truncate' as const,
  bold: style === 'bold',
  dimColor: style === 'dim',
  inverse: style === 'inverse',
  ...(style === 'red' && { color: 'red' }),
});

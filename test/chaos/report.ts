/** Tables of what faults cost, in Markdown. */
import { type FaultName, faults } from './faults.ts';
import { type Figures, speed } from './figures.ts';
import type { Punished } from './punish.ts';
import { allFaults } from './schedule.ts';

interface Cost {
  fired: number;
  missed: number;
  stepsRepeated: number;
  handedOutAgain: number;
  secondsLost: number;
  same: boolean;
}

/** Per fault, over several runs: what lies between a fault and the next one is laid to the first. */
export function costTable(runs: readonly { readonly run: Punished; readonly quiet: Punished }[]): string {
  const costs = new Map<FaultName, Cost>();
  for (const { run, quiet } of runs) {
    const perMs = speed(quiet.seen);
    const blows = [...run.blows].sort((a, b) => a.startedAt - b.startedAt);
    for (const [index, blow] of blows.entries()) {
      const zero = { fired: 0, missed: 0, stepsRepeated: 0, handedOutAgain: 0, secondsLost: 0, same: true };
      const cost = costs.get(blow.planned.fault) ?? zero;
      costs.set(blow.planned.fault, cost);
      cost[blow.fired ? 'fired' : 'missed']++;
      cost.same &&= run.error === '' && run.digest === quiet.digest && run.ledger.length === 0;
      const end = blows[index + 1]?.startedAt ?? run.seen.at(-1)!.at;
      const from = run.seen.findLastIndex(({ at }) => at < blow.startedAt);
      const window = run.seen.slice(Math.max(0, from)).filter(({ at }) => at <= end);
      let repeated = 0;
      for (const [place, { step }] of window.entries())
        repeated += Math.max(0, (window[place - 1]?.step ?? step) - step);
      cost.stepsRepeated += repeated;
      cost.handedOutAgain += run.lines
        .filter(({ at, text }) => at >= blow.startedAt && at < end && text.includes('reissuing tasks'))
        .reduce(
          (sum, { text }) => sum + (/"shards":\[([\d,]*)\]/.exec(text)?.[1]?.split(',').length ?? 1),
          0,
        );
      const steps = (window.at(-1)?.step ?? 0) - (window[0]?.step ?? 0) + repeated;
      cost.secondsLost += Math.max(0, (end - blow.startedAt - steps / perMs) / 1000);
    }
  }
  const rows = allFaults.flatMap((name) => {
    const cost = costs.get(name);
    if (!cost) return [];
    const { fired, missed, stepsRepeated, handedOutAgain, secondsLost, same } = cost;
    const times = Math.max(1, fired + missed);
    return [
      [
        faults[name].title,
        missed > 0 ? `${fired} of ${fired + missed}` : String(fired),
        (stepsRepeated / times).toFixed(1),
        (handedOutAgain / times).toFixed(1),
        (secondsLost / times).toFixed(1),
        same ? 'yes' : 'NO',
      ],
    ];
  });
  return markdown(
    ['fault', 'fired', 'steps repeated', 'shards handed out again', 'seconds lost', 'digest equal'],
    rows,
  );
}

export function figuresTable(found: readonly Figures[]): string {
  const seconds = (value: number | undefined) => (value === undefined ? 'no pause' : `${value.toFixed(1)} s`);
  return markdown(
    ['loss', 'to detection', 'to the first useful gradient', 'to full speed', 'digest equal'],
    found.map(({ fault, detected, gradient, full, digestEqual }) => [
      faults[fault].title,
      detected === undefined ? '-' : `${detected.toFixed(1)} s`,
      seconds(gradient),
      gradient !== undefined && full === undefined ? 'not before the end' : seconds(full),
      digestEqual ? 'yes' : 'NO',
    ]),
  );
}

function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/**
 * What happens to a job, as data: an event is a code with arguments, and for some events the reason. The coordinator records them when they
 * happen; sentences are made where people read. An entry here is all that a new event takes, besides the place that records it. The
 * dashboard's page loads this file, too.
 */
import { counted } from '@kasane/tensor/internal/counted';
import { percentText } from '@kasane/tensor/internal/percent';
import type { Event as EventMessage } from '../gen/kasane/v1/jobs.ts';
import { type Form, fits, readArgs, type ValueOf } from './forms.ts';
import { type Reason, saidInJapanese } from './reasons.ts';

/** When a record is full, `routine` events go, the oldest of the most frequent first. Of several `end`s the last one stays, and each `start` does. */
export type EventKind = 'start' | 'end' | 'routine';

/** `why` is the sentence of the reason. */
const eventOf =
  <Kind extends EventKind, Because extends boolean>(kind: Kind, because: Because) =>
  <const Args extends { readonly [name: string]: Form }>(
    args: Args,
    english: (args: ValueOf<Args>, why: string) => string,
    japanese: (args: ValueOf<Args>, why: string) => string,
  ) => ({ kind, because, args, english, japanese });
const [start, end, routine] = [eventOf('start', false), eventOf('end', false), eventOf('routine', false)];
const because = eventOf('routine', true);

const metricKinds: ReadonlySet<'fraction' | 'error'> = new Set(['fraction', 'error']);
const metricNames = { fraction: 'accuracy', error: 'error' } as const;
const metricNamesInJapanese = { fraction: '精度', error: '誤差' } as const;
export type Measured = number | null;

/** A loss, for people. */
export const lossText = (loss: Measured): string => loss?.toFixed(4) ?? 'NaN';
/** A metric, for people: 98.23 %, or 0.1234 where it is an error. */
export const metricText = (kind: 'fraction' | 'error', metric: Measured): string =>
  metric === null ? 'NaN' : kind === 'fraction' ? percentText(metric) : metric.toPrecision(4);

const stepsText = (first: number, last: number) =>
  first === last ? `step ${first}` : `steps ${first} to ${last}`;

/** Every event: its kind, its arguments, and its sentence in English and in Japanese. Steps count from 1, or are the number of those that are done. */
// biome-ignore format: a line for each sentence
export const events = {
  // The job.
  'submitted': start({ name: 'text' },
    ({ name }) => `submitted as ${name}`,
    ({ name }) => `${name} として投入されました`),
  'note': start({ note: 'text' },
    ({ note }) => `note: ${note}`,
    ({ note }) => `注意：${note}`),
  'started': start({ epochs: 'number' },
    ({ epochs }) => `started: ${counted(epochs, 'epoch')}`,
    ({ epochs }) => `開始しました（${epochs} エポック）`),
  'data-changed': start({ path: 'text' },
    ({ path }) => `the data has changed since the job was submitted; the current data is used: ${path}`,
    ({ path }) => `データがジョブの投入後に変わりました。現在のデータを使います：${path}`),
  'waiting': because({},
    (_, why) => `waiting: ${why}`,
    (_, why) => `待機しています：${why}`),
  'continued': routine({ step: 'number' },
    ({ step }) => `continuing after step ${step}`,
    ({ step }) => `ステップ ${step} の後から処理を続けています`),
  'stalled': because({},
    (_, why) => `giving its turn to other jobs: ${why}`,
    (_, why) => `ほかのジョブに順番を譲ります：${why}`),
  'paused': routine({ step: 'number' },
    ({ step }) => `paused after step ${step}`,
    ({ step }) => `ステップ ${step} で一時停止しました`),
  'resumed': routine({ step: 'number', epochs: 'number' },
    ({ step, epochs }) => `resumed after step ${step}, up to epoch ${epochs}`,
    ({ step, epochs }) => `ステップ ${step} から再開しました（エポック ${epochs} まで）`),
  'priority': routine({ priority: 'number' },
    ({ priority }) => `priority set to ${priority}`,
    ({ priority }) => `優先度を ${priority} に変更しました`),
  'epoch': routine({ epoch: 'number', epochs: 'number', metric: metricKinds, trainLoss: 'measured', trainMetric: 'measured', testLoss: 'measured', testMetric: 'measured', seconds: 'number' },
    ({ epoch, epochs, metric, trainLoss, trainMetric, testLoss, testMetric, seconds }) => `epoch ${epoch}/${epochs}: loss ${lossText(trainLoss)}, ${metricNames[metric]} ${metricText(metric, trainMetric)}; test loss ${lossText(testLoss)}, test ${metricNames[metric]} ${metricText(metric, testMetric)}; ${seconds.toFixed(1)} s`,
    ({ epoch, epochs, metric, trainLoss, trainMetric, testLoss, testMetric, seconds }) => `エポック ${epoch}/${epochs}：損失 ${lossText(trainLoss)}、${metricNamesInJapanese[metric]} ${metricText(metric, trainMetric)}、テスト損失 ${lossText(testLoss)}、テスト${metricNamesInJapanese[metric]} ${metricText(metric, testMetric)}、${seconds.toFixed(1)} 秒`),
  'succeeded': end({ step: 'number' },
    ({ step }) => `succeeded after step ${step}`,
    ({ step }) => `ステップ ${step} で完了しました`),
  'failed': end({ step: 'number', error: 'text' },
    ({ step, error }) => `failed after step ${step}: ${error}`,
    ({ step, error }) => `ステップ ${step} で失敗しました：${error}`),
  'cancelled': end({ step: 'number' },
    ({ step }) => `cancelled after step ${step}`,
    ({ step }) => `ステップ ${step} で中止されました`),
  'registered': routine({ model: 'text' },
    ({ model }) => `registered as ${model}`,
    ({ model }) => `${model} として登録されました`),
  'deleted': end({},
    () => 'deleted',
    () => '削除されました'),
  // Its sweep.
  'trial': start({ sweep: 'text', trial: 'number', values: 'text' },
    ({ sweep, trial, values }) => `trial ${trial} of sweep ${sweep}: ${values}`,
    ({ sweep, trial, values }) => `スイープ ${sweep} のトライアル ${trial} です：${values}`),
  'trial-evaluated': routine({ epoch: 'number' },
    ({ epoch }) => `evaluated after epoch ${epoch}; paused until the sweep knows whether it is among the best`,
    ({ epoch }) => `エポック ${epoch} で評価しました。上位に入るかどうかが決まるまで、スイープが一時停止します`),
  'trial-promoted': routine({ epochs: 'number' },
    ({ epochs }) => `among the best of its sweep; continuing up to epoch ${epochs}`,
    ({ epochs }) => `スイープの上位に入ったため、エポック ${epochs} まで続けます`),
  'trial-stopped': end({},
    () => 'stopped by its sweep, which no longer needs it',
    () => 'スイープに必要なくなったため、終了します'),
  // Its weights.
  'no-gradient': start({ epoch: 'number' },
    ({ epoch }) => `nothing was learned in epoch ${epoch}: the gradients of all its steps were 0. Check that the loss depends on what the model computes, and that nothing in between is always 0, such as a factor or a \`relu\``,
    ({ epoch }) => `エポック ${epoch} では何も学習されませんでした。すべてのステップで勾配が 0 でした。損失がモデルの計算結果に依存しているか、途中に常に 0 になるもの（係数や \`relu\` など）がないか確認してください`),
  // Its workers.
  'worker-joined': routine({ worker: 'text', slots: 'number', backend: 'text' },
    ({ worker, slots, backend }) => `worker ${worker} joined (${counted(slots, 'slot')}, ${backend})`,
    ({ worker, slots, backend }) => `ワーカー ${worker} が参加しました（スロット ${slots}、${backend}）`),
  'worker-left': because({ worker: 'text' },
    ({ worker }, why) => `worker ${worker} disconnected: ${why}`,
    ({ worker }, why) => `ワーカー ${worker} が切断されました：${why}`),
  'worker-resting': because({ worker: 'text' },
    ({ worker }, why) => `worker ${worker} ${why}`,
    ({ worker }, why) => `ワーカー ${worker}：${why}`),
  'worker-unable': routine({ worker: 'text', why: 'text' },
    ({ worker, why }) => `worker ${worker} cannot compute the job: ${why}`,
    ({ worker, why }) => `ワーカー ${worker} はこのジョブを計算できません：${why}`),
  'worker-excluded': because({ worker: 'text' },
    ({ worker }, why) => `worker ${worker} is excluded from the job: ${why}`,
    ({ worker }, why) => `ワーカー ${worker} をこのジョブから除外しました：${why}`),
  'tasks-reissued': because({ tasks: 'number', first: 'number', last: 'number' },
    ({ tasks, first, last }, why) => `${counted(tasks, 'task')} of ${stepsText(first, last)} reissued: ${why}`,
    ({ tasks, first, last }, why) => `ステップ ${first === last ? first : `${first} から ${last}`} のタスク ${tasks} 個を再発行しました：${why}`),
  'exchange': because({},
    (_, why) => `gradient exchange: ${why}`,
    (_, why) => `勾配の交換：${why}`),
  'network-bound': routine({ percent: 'number', every: 'number', precision: 'text' },
    ({ percent, every, precision }) => `workers wait for the network ${percent} % of the time: in the job file, raise exchange.every above ${every} (local steps), ${precision === 'int8' ? '' : `lower exchange.precision below ${precision} (int8 is the lowest), `}or increase training.batch`,
    ({ percent, every, precision }) => `時間の ${percent} % がネットワーク待ちです。ジョブファイルで \`exchange.every\` を ${every} より大きくする（ローカルステップ）か、${precision === 'int8' ? '' : `\`exchange.precision\` を ${precision} より低くする（最低は \`int8\`）か、`}\`training.batch\` を大きくしてください`),
  'slots-idle': routine({ idle: 'number', slots: 'number', key: 'text', shards: 'number' },
    ({ idle, slots, key, shards }) => `${idle} of ${slots} slots are idle because ${key} is ${shards}; to use them, increase it in the job file (this changes the result)`,
    ({ idle, slots, key, shards }) => `\`${key}\` が ${shards} なので、${slots} スロットのうち ${idle} スロットが空いています。使うには、ジョブファイルでこの値を大きくしてください（学習結果は変わります）`),
  // The coordinator and its disk.
  'restarted': routine({},
    () => 'the coordinator restarted',
    () => 'コーディネーターが再起動しました'),
  'restored': routine({ step: 'number' },
    ({ step }) => `resuming from the checkpoint of step ${step}`,
    ({ step }) => `ステップ ${step} のチェックポイントから再開します`),
  'checkpoint': routine({ step: 'number' },
    ({ step }) => `checkpoint of step ${step} saved`,
    ({ step }) => `ステップ ${step} のチェックポイントを保存しました`),
  'checkpoint-refused': because({},
    (_, why) => `training continues, but ${why}`,
    (_, why) => `学習は続きますが、${why}`),
  'checkpoint-accepted': routine({ step: 'number' },
    ({ step }) => `checkpoints can be written again: step ${step} is on disk`,
    ({ step }) => `チェックポイントを再び書き込めるようになり、ステップ ${step} を保存しました`),
  // MLflow.
  'mlflow-away': routine({ why: 'text' },
    ({ why }) => `metrics cannot be sent to MLflow now and will be sent later: ${why}`,
    ({ why }) => `MLflow にメトリクスを送れません。後で送ります：${why}`),
  'mlflow-back': routine({},
    () => 'metrics are being sent to MLflow again',
    () => 'MLflow へのメトリクスの送信を再開しました'),
  'mlflow-refused': routine({ why: 'text' },
    ({ why }) => `MLflow rejected the job; nothing more is sent for it: ${why}`,
    ({ why }) => `MLflow がこのジョブを受け付けないため、以後は送りません：${why}`),
  // The record itself.
  'left-out': start({ count: 'number' },
    ({ count }) => `${counted(count, 'earlier event')} ${count === 1 ? 'was' : 'were'} not kept`,
    ({ count }) => `これより前のイベント ${count} 件は記録に残っていません`),
  'earlier-version': start({},
    () => 'recorded by an earlier version of Kasane: waits, pauses and the times of epochs are unknown',
    () => '以前のバージョンの Kasane による記録です。待機や一時停止、各エポックの時刻はわかりません'),
};

export type EventCode = keyof typeof events;
export type EventArgs<Code extends EventCode> = ValueOf<(typeof events)[Code]['args']>;

/** An event as it is recorded: with its reason where its code has one. */
export type JobEvent<Code extends EventCode = EventCode> = {
  readonly [C in Code]: {
    readonly code: C;
    readonly args: EventArgs<C>;
  } & ((typeof events)[C]['because'] extends true
    ? { readonly reason: Reason }
    : { readonly reason?: never });
}[Code];

/** One text for each code, with its arguments and the sentence of its reason. */
export type EventTexts = {
  readonly [Code in EventCode]: (args: EventArgs<Code>, why: string) => string;
};

const textsIn = (language: 'english' | 'japanese') =>
  Object.fromEntries(Object.entries(events).map(([code, texts]) => [code, texts[language]])) as EventTexts;
const english = textsIn('english');
export const japaneseEvents = textsIn('japanese');

/** The sentence of an event in a language. @param why that of its reason; empty without one */
export const eventSentence = ({ code, args }: KnownEvent, why: string, texts = english): string =>
  (texts[code] as (args: object, why: string) => string)(args, why);

/** An event without its reason. */
export type KnownEvent = {
  readonly [C in EventCode]: { readonly code: C; readonly args: EventArgs<C> };
}[EventCode];

/** An event that came over a wire; undefined for one that a coordinator of another version has, whose text explains it. */
export function knownEvent({
  code,
  args: json,
}: Pick<EventMessage, 'code' | 'args'>): KnownEvent | undefined {
  if (!Object.hasOwn(events, code)) return undefined;
  const args = readArgs(json);
  return fits(args, events[code as EventCode].args) ? ({ code, args } as KnownEvent) : undefined;
}

/** An event that is not known here, of a newer coordinator, is shown as the sentence that came with it. */
export function toldInJapanese(told: EventMessage): string {
  const event = knownEvent(told);
  return event
    ? eventSentence(event, told.reason ? saidInJapanese(told.reason) : '', japaneseEvents)
    : told.text;
}

/** How a record treats an event, also of another version. */
export const eventKind = (code: string): EventKind =>
  Object.hasOwn(events, code) ? events[code as EventCode].kind : 'routine';

/**
 * Why something is as it is, as data: a reason is a code with arguments. Programs go by these; sentences are made where people read. An
 * entry here is all that a new reason takes. The dashboard's page loads this file, too.
 */
import { counted } from '@kasane/tensor/internal/counted';
import { meaningOf, type SystemCode, systemCodes } from '@kasane/tensor/internal/node/system-errors';
import type { Reason as ReasonMessage } from '../gen/kasane/v1/common.ts';
import { type Form, fits, readArgs, type ValueOf } from './forms.ts';

/**
 * `passing`: a job waits for this many times a second, and goes on by itself. `held-up`: it does not go on until somebody does something
 * about it, or others make room. `event`: no job waits for it.
 */
export type ReasonKind = 'passing' | 'held-up' | 'event';

const reasonOf =
  (kind: ReasonKind) =>
  <const Args extends { readonly [name: string]: Form }>(
    args: Args,
    english: (args: ValueOf<Args>) => string,
    japanese: (args: ValueOf<Args>) => string,
  ) => ({ kind, args, english, japanese });
const [passing, heldUp, event] = [reasonOf('passing'), reasonOf('held-up'), reasonOf('event')];

const FREE = "free up space or inodes on the coordinator's disk (see `df -h` and `df -i`)";
const CHECK = "check the coordinator's disk";
const REMOUNT = "remount the coordinator's disk";
const RESTORE = 'restore what was removed from the state directory';
const PERMIT = 'give the user that runs the coordinator write permission';
/** What the system says of a disk that may come back, and what an operator can do about it there. */
const diskCures = {
  ...{ ENOSPC: FREE, EDQUOT: FREE, EIO: CHECK, ETIMEDOUT: CHECK, EBUSY: CHECK },
  ...{ EROFS: `${REMOUNT} as writable`, ESTALE: REMOUNT, ENODEV: REMOUNT, ENXIO: REMOUNT },
  ...{ ENOENT: RESTORE, ENOTDIR: RESTORE, EACCES: PERMIT, EPERM: PERMIT },
  ...{ EMFILE: 'raise the limit (ulimit -n)', ENFILE: 'close some programs' },
  EFBIG: 'raise the limit (ulimit -f), and restart the coordinator',
} as const satisfies Partial<Record<SystemCode, string>>;
export type DiskCause = keyof typeof diskCures;
export const diskCauses: ReadonlySet<DiskCause> = new Set(Object.keys(diskCures) as DiskCause[]);

const statePart = { directory: 'the state directory', database: 'the database' } as const;
const part: ReadonlySet<keyof typeof statePart> = new Set(['directory', 'database']);
const systemCause: ReadonlySet<SystemCode | 'unknown'> = new Set([...systemCodes, 'unknown']);
const MOVE_BACK = 'move it back, or restart the coordinator with another --state';

/** What workers say, each once, with those that say it. */
const said = [{ why: 'text', workers: ['text'] }] as const;
export type Said = ValueOf<typeof said>;
const listed = (all: Said) => all.map(({ why, workers }) => `${why} (${workers.join(', ')})`).join('; ');

/** A task has the number of its shard, or of its group of shards. */
const named = (shards: readonly number[]) => `${shards.length === 1 ? 'task' : 'tasks'} ${shards.join(', ')}`;
const are = ({ length }: readonly number[]) => (length === 1 ? 'is' : 'are');

/** The whole sentence. */
const diskInJapanese: Readonly<Record<DiskCause, string>> = {
  ENOSPC:
    'コーディネーターのディスクに空きがありません。容量または `inode` の空きを増やしてください（`df -h` と `df -i` で確認できます）',
  EDQUOT: 'ディスクの割り当てを使い切りました。コーディネーターのディスクに空きを作ってください',
  EIO: 'ディスクまたはネットワーク共有がエラーを返しました。コーディネーターのディスクを確認してください',
  EROFS:
    'ファイルシステムが読み取り専用です。コーディネーターのディスクを書き込み可能な状態で再マウントしてください',
  ESTALE: 'ネットワーク共有のファイルが置き換わりました。コーディネーターのディスクを再マウントしてください',
  ENODEV: 'デバイスが見つかりません。コーディネーターのディスクを再マウントしてください',
  ENXIO: 'ソケットであるか、デバイスが見つかりません。コーディネーターのディスクを再マウントしてください',
  ETIMEDOUT: 'ディスクが時間内に応答しませんでした。コーディネーターのディスクを確認してください',
  EBUSY: '使用中です。コーディネーターのディスクを確認してください',
  ENOENT: 'ファイルまたはフォルダーが見つかりません。状態ディレクトリから失われたものを元に戻してください',
  ENOTDIR:
    'パスの途中にフォルダーではないファイルがあります。状態ディレクトリから失われたものを元に戻してください',
  EACCES: 'アクセスが拒否されました。コーディネーターを実行しているユーザーに書き込み権限を与えてください',
  EPERM: '操作が許可されていません。コーディネーターを実行しているユーザーに書き込み権限を与えてください',
  EMFILE: '開いているファイルが多すぎます。上限（`ulimit -n`）を上げてください',
  ENFILE: 'このマシンで開いているファイルが多すぎます。ほかのプログラムを終了してください',
  EFBIG:
    'ファイルの大きさが上限を超えます。上限（`ulimit -f`）を上げて、コーディネーターを再起動してください',
};

const partInJapanese = { directory: '状態ディレクトリ', database: 'データベース' } as const;
const ELSEWHERE_IN_JAPANESE = '別の `--state` でコーディネーターを再起動してください';
const list = (all: readonly (string | number)[]) => all.join(', ');
const listedInJapanese = (said: Said) =>
  said.map(({ why, workers }) => `${why}（${list(workers)}）`).join('、');

/** Every reason: its kind, its arguments, and its sentence in English and in Japanese. */
// biome-ignore format: a line for each sentence
export const reasons = {
  // What a step waits for, and what becomes of it.
  'shards-computing': passing({ shards: ['number'] },
    ({ shards }) => `${named(shards)} ${are(shards)} being computed`,
    ({ shards }) => `タスク ${list(shards)} を計算しています`),
  'shards-waiting': passing({ shards: ['number'] },
    ({ shards }) => `${named(shards)} ${are(shards)} waiting for a worker`,
    ({ shards }) => `タスク ${list(shards)} がワーカーを待っています`),
  'shards-returned': passing({ shards: ['number'] },
    ({ shards }) => `${named(shards)} returned without a result`,
    ({ shards }) => `タスク ${list(shards)} が結果のないまま戻りました`),
  'shards-unfetched': passing({ shards: ['number'] },
    ({ shards }) => `no worker has fetched ${named(shards)}; the queue may have lost ${shards.length === 1 ? 'it' : 'them'}`,
    ({ shards }) => `タスク ${list(shards)} をどのワーカーも取得していません。キューから失われた可能性があります`),
  'shards-overdue': passing({ shards: ['number'], workers: [['text']] },
    ({ shards, workers }) => `${named(shards)} ${are(shards)} overdue on ${workers.map((each) => each.join(' and ')).join(', ')}`,
    ({ shards, workers }) => `タスク ${list(shards)} が遅れています（${list(workers.map((each) => each.join('・')))}）`),
  'no-worker': heldUp({},
    () => 'no worker is connected',
    () => '接続中のワーカーがありません'),
  'no-able-worker': heldUp({ said },
    ({ said }) => `no connected worker can compute the job: ${listed(said)}`,
    ({ said }) => `接続中のワーカーの中に、このジョブを計算できるものがありません：${listedInJapanese(said)}`),
  'no-worker-can': event({ said },
    ({ said }) => `no worker can compute the job: ${listed(said)}`,
    ({ said }) => `このジョブを計算できるワーカーがありません：${listedInJapanese(said)}`),
  'shard-failed': event({ shard: 'number', times: 'number', workers: 'number', said },
    ({ shard, times, workers, said }) => `task ${shard} failed ${counted(times, 'time')}, on ${counted(workers, 'worker')}: ${listed(said)}`,
    ({ shard, times, workers, said }) => `タスク ${shard} の計算が ${workers} 台のワーカーで計 ${times} 回失敗しました：${listedInJapanese(said)}`),
  'not-finite': event({ said },
    ({ said }) => listed(said),
    ({ said }) => `損失または勾配が有限の値ではありません：${listedInJapanese(said)}`),
  'all-answered': event({ shards: 'number' },
    ({ shards }) => `all ${shards} tasks have returned results`,
    ({ shards }) => `${shards} 個のタスクすべての結果が届きました`),
  // What a job waits for.
  'paused': heldUp({ job: 'text' },
    ({ job }) => `paused; resume it with \`kasane resume ${job}\``,
    ({ job }) => `一時停止中です。\`kasane resume ${job}\` で再開できます`),
  'awaits-promotion': heldUp({ sweep: 'text' },
    ({ sweep }) => `paused by sweep ${sweep}, which resumes it if it is among the best`,
    ({ sweep }) => `スイープ ${sweep} が一時停止しています。上位に入れば再開されます`),
  'trial-paused': heldUp({ trial: 'number', job: 'text' },
    ({ trial, job }) => `trial ${trial} is paused; resume it with \`kasane resume ${job}\``,
    ({ trial, job }) => `トライアル ${trial} が一時停止中です。\`kasane resume ${job}\` で再開できます`),
  'jobs-full': heldUp({ count: 'number' },
    ({ count }) => `${count} jobs are waiting or running, which is the limit; the next trial starts when one of them ends`,
    ({ count }) => `待機中または実行中のジョブが上限の ${count} 件に達しています。どれかが終わると次のトライアルを開始します`),
  'reading-data': passing({},
    () => 'reading its data',
    () => 'データを読み込んでいます'),
  'stopping': passing({},
    () => 'the job is being stopped',
    () => '停止しています'),
  'jobs-ahead': heldUp({ count: 'number', jobs: ['text'] },
    ({ count, jobs }) => `${count} ${count === 1 ? 'job is' : 'jobs are'} ahead of it: ${jobs.join(', ')}`,
    ({ count, jobs }) => `先に実行される ${count} 件のジョブを待っています：${list(jobs)}`),
  'higher-priority': heldUp({ job: 'text', priority: 'number' },
    ({ job, priority }) => `job ${job} has a higher priority (${priority})`,
    ({ job, priority }) => `ジョブ ${job} のほうが優先されます（優先度 ${priority}）`),
  'turns': passing({ jobs: ['text'] },
    ({ jobs }) => `jobs take turns: a step of job ${jobs.join(', ')} is being computed`,
    ({ jobs }) => `順番を待っています：ジョブ ${list(jobs)} のステップを計算しています`),
  'redis-silent': heldUp({ since: 'text' },
    ({ since }) => `Redis has not answered since ${since}`,
    ({ since }) => `${since} 以降、Redis が応答していません`),
  'queue-overwritten': event({ key: 'text', error: 'text' },
    ({ key, error }) => `another program has overwritten ${key} in Redis, a key of the job's queues (${error})`,
    ({ key, error }) => `Redis にあるジョブのキューのキー \`${key}\` が、別のプログラムによって書き換えられました（${error}）`),
  'standstill': event({ seconds: 'number', workers: 'number' },
    ({ seconds, workers }) => `no answer for ${seconds} s, although ${workers === 1 ? '1 connected worker' : `${workers} connected workers`} can compute the job`,
    ({ seconds, workers }) => `このジョブを計算できるワーカーが ${workers} 台接続していますが、${seconds} 秒間応答がありません`),
  // The coordinator's disk.
  'disk': heldUp({ cause: diskCauses },
    ({ cause }) => `${meaningOf(cause).words}; ${diskCures[cause]}`,
    ({ cause }) => diskInJapanese[cause]),
  'disk-silent': heldUp({ since: 'text' },
    ({ since }) => `the coordinator's disk has not finished a write since ${since}; check the disk`,
    ({ since }) => `${since} から、コーディネーターのディスクへの書き込みが終わっていません。ディスクを確認してください`),
  'database-locked': heldUp({ since: 'text' },
    ({ since }) => `the database has been locked by another program since ${since}; stop that program, or wait until it finishes`,
    ({ since }) => `${since} から、別のプログラムがデータベースをロックしています。そのプログラムを終了するか、終了するまでお待ちください`),
  'state-moved': heldUp({ part, path: 'text' },
    ({ part, path }) => `${statePart[part]} ${path} has been moved or removed; ${MOVE_BACK}`,
    ({ part, path }) => `${partInJapanese[part]} \`${path}\` が移動または削除されました。元の場所に戻すか、${ELSEWHERE_IN_JAPANESE}`),
  'state-replaced': heldUp({ part, path: 'text' },
    ({ part, path }) => `${statePart[part]} ${path} has been replaced by another; ${MOVE_BACK}`,
    ({ part, path }) => `${partInJapanese[part]} \`${path}\` が別のものに置き換えられました。元に戻すか、${ELSEWHERE_IN_JAPANESE}`),
  'state-unlocked': heldUp({ path: 'text' },
    ({ path }) => `the lock file ${path} has been moved, removed or replaced, so another coordinator may use the state directory; move it back, or make sure that no other coordinator runs and restart this one`,
    ({ path }) => `ロックファイル \`${path}\` が移動、削除、または置き換えられたため、別のコーディネーターが状態ディレクトリを使用している可能性があります。元に戻すか、ほかのコーディネーターが動いていないことを確かめて再起動してください`),
  'state-closed': heldUp({ path: 'text', cause: systemCause },
    ({ path, cause }) => `the state directory ${path}: ${cause === 'unknown' ? 'it cannot be accessed' : meaningOf(cause).words}; give the user that runs the coordinator access to it`,
    ({ path, cause }) => `状態ディレクトリ \`${path}\` にアクセスできません${cause === 'unknown' ? '' : `（\`${cause}\`）`}。コーディネーターを実行しているユーザーにアクセス権を与えてください`),
  // Why a worker has gone, or takes no part in a job.
  'stream-closed': event({},
    () => 'stream closed',
    () => '接続を閉じました'),
  'stream-failed': event({ why: 'text' },
    ({ why }) => why,
    ({ why }) => `接続でエラーが発生しました：${why}`),
  'connection-lost': event({},
    () => 'connection lost',
    () => '接続が切れました'),
  'link-lost': event({},
    () => 'data link lost',
    () => 'データリンクが切れました'),
  'link-failed': event({ why: 'text' },
    ({ why }) => why,
    ({ why }) => `データリンクでエラーが発生しました：${why}`),
  'no-link': event({},
    () => 'did not open a data link',
    () => 'データリンクを開きませんでした'),
  'worker-silent': event({ seconds: 'number' },
    ({ seconds }) => `no message for ${seconds.toFixed(1)} s`,
    ({ seconds }) => `${seconds.toFixed(1)} 秒間メッセージがありませんでした`),
  'bytes-unread': event({ bytes: 'number' },
    ({ bytes }) => `left ${bytes} bytes unread`,
    ({ bytes }) => `${bytes} バイトのデータを受信しませんでした`),
  'bad-frame': event({ why: 'text' },
    ({ why }) => `bad frame: ${why}`,
    ({ why }) => `不正なフレームです：${why}`),
  'bad-frames': event({ count: 'number', last: 'text' },
    ({ count, last }) => `${count} bad frames; the last one: ${last}`,
    ({ count, last }) => `不正なフレームが ${count} 回届きました。最後のもの：${last}`),
  'reconnected': event({},
    () => 'reconnected',
    () => '再接続しました'),
  'refused': event({ why: 'text' },
    ({ why }) => why,
    ({ why }) => `接続を拒否しました：${why}`),
  'shut-down': event({},
    () => 'shut down',
    () => '終了しました'),
  'disproved': event({ count: 'number', last: 'text' },
    ({ count, last }) => `${count} of its tasks failed but succeeded on other workers; the last error: ${last}`,
    ({ count, last }) => `${count} 個のタスクが失敗しましたが、ほかのワーカーでは成功しました。最後のエラー：${last}`),
  'resting-late': event({ job: 'text', seconds: 'number' },
    ({ job, seconds }) => `gets no shards of job ${job} for ${seconds} s because it did not answer in time`,
    ({ job, seconds }) => `ジョブ ${job} のシャードを ${seconds} 秒間割り当てません。時間内に応答がありませんでした`),
  'resting-slow': event({ job: 'text', seconds: 'number' },
    ({ job, seconds }) => `gets no shards of job ${job} for ${seconds} s because the others are faster without it`,
    ({ job, seconds }) => `ジョブ ${job} のシャードを ${seconds} 秒間割り当てません。このワーカーを除いたほうが速く計算できます`),
  // Which way gradients take.
  'exchange-workers': event({ workers: 'number' },
    ({ workers }) => `${workers} workers exchange gradients directly`,
    ({ workers }) => `${workers} 台のワーカーが勾配を直接交換します`),
  'route-workers': event({ job: 'text', workers: 'number' },
    ({ job, workers }) => `exchanges gradients of job ${job} directly with ${counted(workers, 'other worker')}`,
    ({ job, workers }) => `ジョブ ${job} の勾配を他の ${workers} 台のワーカーと直接交換しています`),
  'route-unreached': event({ job: 'text', why: 'text' },
    ({ job, why }) => `sends gradients of job ${job} through the coordinator: ${why}`,
    ({ job, why }) => `ジョブ ${job} の勾配をコーディネーター経由で送っています：${why}`),
  'route-slow': event({ job: 'text' },
    ({ job }) => `sends gradients of job ${job} through the coordinator: its links to the other workers are slower than the links between them`,
    ({ job }) => `ジョブ ${job} の勾配をコーディネーター経由で送っています。他のワーカーとの通信が、ワーカー同士の通信より遅いためです`),
  'route-late': event({ job: 'text' },
    ({ job }) => `sends gradients of job ${job} through the coordinator: it held up a step`,
    ({ job }) => `ジョブ ${job} の勾配をコーディネーター経由で送っています。ステップを遅らせたためです`),
  'exchange-unreached': event({ why: 'text' },
    ({ why }) => `all gradients go through the coordinator because the workers cannot reach each other: ${why}`,
    ({ why }) => `ワーカー同士が接続できないため、勾配はすべてコーディネーターを経由します：${why}`),
  'owner-left': event({ worker: 'text' },
    ({ worker }) => `worker ${worker}, which summed part of the gradients, has disconnected; the step is computed again`,
    ({ worker }) => `勾配の一部を合計していたワーカー ${worker} の接続が切れたため、このステップを計算し直します`),
  'peers-parted': event({ workers: ['text'] },
    ({ workers }) => `workers ${workers.join(' and ')} can no longer reach each other; the step is computed again`,
    ({ workers }) => `ワーカー ${list(workers)} の間の接続が切れたため、このステップを計算し直します`),
  'sums-late': event({ workers: ['text'], seconds: 'number' },
    ({ workers, seconds }) => `no gradient sums from ${workers.join(', ')} for ${seconds} s; the step is computed again`,
    ({ workers, seconds }) => `ワーカー ${list(workers)} から勾配の合計が ${seconds} 秒間届かないため、このステップを計算し直します`),
  'sums-not-finite': event({},
    () => 'a sum of gradients is not finite; the step is computed again through the coordinator',
    () => '勾配の合計が有限の値ではないため、コーディネーターを経由してこのステップを計算し直します'),
  'copy-failed': event({ why: 'text' },
    ({ why }) => `the coordinator cannot keep a copy of part of the parameters to send new ones to workers; the step is computed again, and owners send all of them: ${why}`,
    ({ why }) => `新しいパラメーターをワーカーに送るための写しをコーディネーターに置けないため、このステップを計算し直し、以後はワーカーがすべて送ります：${why}`),
  // Which way samples take.
  'data-direct': event({},
    () => 'every worker reads the data itself, so no samples are staged',
    () => 'すべてのワーカーがデータを直接読み込むため、サンプルを Redis に書き込みません'),
  'data-staged': event({},
    () => 'not every worker can read the data itself, so samples are staged',
    () => 'データを直接読み込めないワーカーがあるため、サンプルを Redis 経由で渡します'),
  'data-unreachable': event({ worker: 'text', why: 'text' },
    ({ worker, why }) => `worker ${worker} cannot reach the data, so its samples are staged: ${why}`,
    ({ worker, why }) => `ワーカー ${worker} はデータを読み込めないため、サンプルを Redis 経由で渡します：${why}`),
};

export type ReasonCode = keyof typeof reasons;
export type ArgsOf<Code extends ReasonCode> = ValueOf<(typeof reasons)[Code]['args']>;

/** What could not be written because of a reason; `of` is the job or step that it belongs to. */
const writings = {
  job: (id: string) => `job ${id}`,
  model: () => 'the model',
  position: () => 'the position of the job',
  checkpoint: (step: string) => `the checkpoint of step ${step}`,
  'last-checkpoint': () => 'the last checkpoint',
  state: (job: string) => `the state of job ${job}`,
  end: (job: string) => `the end of job ${job}`,
  cancellation: () => 'the end of the job',
  pause: () => 'the pause',
  resumption: () => 'the resumed job',
  priority: () => 'the priority',
  deletion: () => 'the deletion',
  registration: () => 'the registration',
  alias: () => 'the alias',
};
type Writing = keyof typeof writings;
/** `of` where the words take it. */
export type Written = {
  readonly [What in Writing]: { readonly writing: What } & (Parameters<(typeof writings)[What]> extends []
    ? { readonly of?: never }
    : { readonly of: string });
}[Writing];

/** What any reason may be about, besides its own arguments. */
export interface About {
  /** Counted from 1. */
  readonly step?: number;
  readonly writing?: Writing;
  readonly of?: string;
}

export type Reason<Code extends ReasonCode = ReasonCode> = {
  readonly [C in Code]: { readonly code: C; readonly args: ArgsOf<C> & About };
}[Code];

/** One text for each code, with its arguments; and for what the reason is about, the words that come before it. */
export interface Texts {
  readonly reasons: { readonly [Code in ReasonCode]: (args: ArgsOf<Code>) => string };
  readonly step: (step: number) => string;
  readonly writing: (what: string) => string;
  readonly writings: { readonly [What in Writing]: (of: string) => string };
}

const sentencesIn = (language: 'english' | 'japanese') =>
  Object.fromEntries(
    Object.entries(reasons).map(([code, texts]) => [code, texts[language]]),
  ) as Texts['reasons'];

const english: Texts = {
  reasons: sentencesIn('english'),
  step: (step) => `step ${step}: `,
  writing: (what) => `${what} could not be written: `,
  writings,
};

export const japaneseTexts: Texts = {
  reasons: sentencesIn('japanese'),
  step: (step) => `ステップ ${step}：`,
  writing: (what) => `${what}を書き込めません。`,
  writings: {
    job: (id) => `ジョブ ${id} `,
    model: () => 'モデル',
    position: () => 'ジョブの進行状況',
    checkpoint: (step) => `ステップ ${step} のチェックポイント`,
    'last-checkpoint': () => '最後のチェックポイント',
    state: (job) => `ジョブ ${job} の状態`,
    end: (job) => `ジョブ ${job} の終了`,
    cancellation: () => 'ジョブの終了',
    pause: () => '一時停止',
    resumption: () => 'ジョブの再開',
    priority: () => '優先度',
    deletion: () => '削除',
    registration: () => 'モデルの登録',
    alias: () => 'エイリアス',
  },
};

/** The sentence of a reason in a language. Default: English. */
export function sentenceOf({ code, args }: Reason, texts = english): string {
  const { step, writing, of = '' } = args;
  const at = step === undefined ? '' : texts.step(step);
  const what = writing === undefined ? '' : texts.writing(texts.writings[writing](of));
  return `${at}${what}${(texts.reasons[code] as (args: object) => string)(args)}`;
}

/** The reason with what it is about. */
export const at = (reason: Reason, about: About): Reason =>
  ({ code: reason.code, args: { ...about, ...reason.args } }) as Reason;

/** Whether two reasons say the same; undefined: there is none. */
export const isSameReason = (a: Reason | undefined, b: Reason | undefined): boolean =>
  a === b || (a?.code === b?.code && JSON.stringify(a?.args) === JSON.stringify(b?.args));

/** A reason as it travels. */
export const messageOfReason = (reason: Reason): ReasonMessage => ({
  code: reason.code,
  args: JSON.stringify(reason.args),
  text: sentenceOf(reason),
});

/** A reason that came over a wire; undefined for one that a coordinator of another version has, whose text explains it. */
export function knownReason({ code, args: json }: Pick<ReasonMessage, 'code' | 'args'>): Reason | undefined {
  if (!Object.hasOwn(reasons, code)) return undefined;
  const args = readArgs(json);
  const { step = 1, writing = 'model', of = '' } = args;
  const about = { step, writing, of };
  const fitting = fits(args, reasons[code as ReasonCode].args) && fits(about, aboutForm);
  return fitting ? ({ code, args } as Reason) : undefined;
}

/** A reason that is not known here, of a newer coordinator, is shown as the sentence that came with it. */
export function saidInJapanese(said: ReasonMessage): string {
  const reason = knownReason(said);
  return reason ? sentenceOf(reason, japaneseTexts) : said.text;
}

const aboutForm: Form = { step: 'number', writing: new Set(Object.keys(writings)), of: 'text' };

/** Whether a job that waits for this goes on by itself at once. What is not known here is told: it may need somebody. */
export const isPassing = ({ code }: Pick<ReasonMessage, 'code'>): boolean =>
  Object.hasOwn(reasons, code) && reasons[code as ReasonCode].kind === 'passing';

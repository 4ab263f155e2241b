/** The coordinator's reasons in Japanese: why a job waits, and why a worker has gone. A code without a line here does not compile. */
import type { Reason as ReasonMessage } from '@kasane/protocol/gen/kasane/v1/common';
import { type DiskCause, knownReason, type Said, sentenceOf, type Texts } from '@kasane/protocol/reasons';

const disk: Readonly<Record<DiskCause, string>> = {
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
};

const parts = { directory: '状態ディレクトリ', database: 'データベース' } as const;
const AWAY = '別の `--state` でコーディネーターを再起動してください';
const list = (all: readonly (string | number)[]) => all.join(', ');
const listed = (said: Said) => said.map(({ why, workers }) => `${why}（${list(workers)}）`).join('、');

// biome-ignore format: a line each
const reasons: Texts['reasons'] = {
  'shards-computing': ({ shards }) => `シャード ${list(shards)} を計算しています`,
  'shards-waiting': ({ shards }) => `シャード ${list(shards)} がワーカーを待っています`,
  'shards-returned': ({ shards }) => `シャード ${list(shards)} が結果のないまま戻りました`,
  'shards-unfetched': ({ shards }) => `シャード ${list(shards)} をどのワーカーも取得していません。キューから失われた可能性があります`,
  'shards-overdue': ({ shards, workers }) => `シャード ${list(shards)} が遅れています（${list(workers.map((each) => each.join('・')))}）`,
  'no-worker': () => '接続中のワーカーがありません',
  'no-able-worker': ({ said }) => `接続中のワーカーの中に、このジョブを計算できるものがありません：${listed(said)}`,
  'no-worker-can': ({ said }) => `このジョブを計算できるワーカーがありません：${listed(said)}`,
  'shard-failed': ({ shard, times, workers, said }) => `シャード ${shard} の計算が ${workers} 台のワーカーで計 ${times} 回失敗しました：${listed(said)}`,
  'not-finite': ({ said }) => `損失または勾配が有限の値ではありません：${listed(said)}`,
  'all-answered': ({ shards }) => `${shards} 個のシャードすべての結果が届きました`,
  'paused': ({ job }) => `一時停止中です。\`kasane resume ${job}\` で再開できます`,
  'reading-data': () => 'データを読み込んでいます',
  'stopping': () => '停止しています',
  'jobs-ahead': ({ count, jobs }) => `先に実行される ${count} 件のジョブを待っています：${list(jobs)}`,
  'higher-priority': ({ job, priority }) => `ジョブ ${job} のほうが優先されます（優先度 ${priority}）`,
  'turns': ({ jobs }) => `順番を待っています：ジョブ ${list(jobs)} のステップを計算しています`,
  'redis-silent': ({ since }) => `${since} 以降、Redis が応答していません`,
  'queue-overwritten': ({ key, error }) => `Redis にあるジョブのキューのキー \`${key}\` が、別のプログラムによって書き換えられました（${error}）`,
  'standstill': ({ seconds, workers }) => `このジョブを計算できるワーカーが ${workers} 台接続していますが、${seconds} 秒間応答がありません`,
  'disk': ({ cause }) => disk[cause],
  'disk-silent': ({ since }) => `${since} から、コーディネーターのディスクへの書き込みが終わっていません。ディスクを確認してください`,
  'database-locked': ({ since }) => `${since} から、別のプログラムがデータベースをロックしています。そのプログラムを終了するか、終了するまでお待ちください`,
  'state-moved': ({ part, path }) => `${parts[part]} \`${path}\` が移動または削除されました。元の場所に戻すか、${AWAY}`,
  'state-replaced': ({ part, path }) => `${parts[part]} \`${path}\` が別のものに置き換えられました。元に戻すか、${AWAY}`,
  'state-closed': ({ path, cause }) => `状態ディレクトリ \`${path}\` にアクセスできません${cause === 'unknown' ? '' : `（\`${cause}\`）`}。コーディネーターを実行しているユーザーにアクセス権を与えてください`,
  'stream-closed': () => '接続を閉じました',
  'stream-failed': ({ why }) => `接続でエラーが発生しました：${why}`,
  'connection-lost': () => '接続が切れました',
  'link-lost': () => 'データリンクが切れました',
  'link-failed': ({ why }) => `データリンクでエラーが発生しました：${why}`,
  'no-link': () => 'データリンクを開きませんでした',
  'worker-silent': ({ seconds }) => `${seconds.toFixed(1)} 秒間メッセージがありませんでした`,
  'bytes-unread': ({ bytes }) => `${bytes} バイトのデータを受信しませんでした`,
  'bad-frame': ({ why }) => `不正なフレームです：${why}`,
  'bad-frames': ({ count, last }) => `不正なフレームが ${count} 回届きました。最後のもの：${last}`,
  'reconnected': () => '再接続しました',
  'refused': ({ why }) => `接続を拒否しました：${why}`,
  'shut-down': () => '終了しました',
  'disproved': ({ count, last }) => `${count} 個のタスクが失敗しましたが、ほかのワーカーでは成功しました。最後のエラー：${last}`,
  'resting-late': ({ job, seconds }) => `ジョブ ${job} のシャードを ${seconds} 秒間割り当てません。時間内に応答がありませんでした`,
  'resting-slow': ({ job, seconds }) => `ジョブ ${job} のシャードを ${seconds} 秒間割り当てません。このワーカーを除いたほうが速く計算できます`,
  'data-direct': () => 'すべてのワーカーがデータを直接読み込むため、サンプルを Redis に書き込みません',
  'data-staged': () => 'データを直接読み込めないワーカーがあるため、サンプルを Redis 経由で渡します',
  'data-unreachable': ({ worker, why }) => `ワーカー ${worker} はデータを読み込めないため、サンプルを Redis 経由で渡します：${why}`,
};

export const japaneseTexts: Texts = {
  reasons,
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
  },
};

/** A reason that is not known here, of a newer coordinator, is shown as the sentence that came with it. */
export function saidInJapanese(said: ReasonMessage): string {
  const reason = knownReason(said);
  return reason ? sentenceOf(reason, japaneseTexts) : said.text;
}

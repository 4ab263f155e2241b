/**
 * What the coordinator says in sentences, in Japanese: why a job waits, and why a worker has gone. The coordinator speaks English, as its
 * logs do; a sentence that is not here is shown as it came.
 */

const shards = String.raw`shards? ([\d, ]+)`;
const step = (said: string) => new RegExp(String.raw`^step (\d+): ${said}$`);

/** Why a disk refuses, and what the operator of the coordinator does about it. */
const disks: readonly (readonly [string, string])[] = [
  [
    "no space is left on the disk; make room on the coordinator's disk",
    'コーディネーターのディスクに空きがありません。空き容量を増やしてください',
  ],
  [
    "the disk quota is used up; make room on the coordinator's disk",
    'ディスクの割り当てを使い切りました。コーディネーターのディスクに空きを作ってください',
  ],
  [
    "the disk or network share reported an error; check the coordinator's disk",
    'ディスクまたはネットワーク共有がエラーを返しました。コーディネーターのディスクを確認してください',
  ],
  [
    "the file system is read-only; mount the coordinator's disk writable",
    'ファイルシステムが読み取り専用です。コーディネーターのディスクを書き込み可能でマウントしてください',
  ],
  [
    "the network share has replaced it; mount the coordinator's disk again",
    'ネットワーク共有のファイルが置き換わりました。コーディネーターのディスクを再マウントしてください',
  ],
  [
    "(?:its device is missing|it is a socket, or its device is missing); mount the coordinator's disk again",
    'ディスクが見つかりません。コーディネーターのディスクを再マウントしてください',
  ],
  [
    "timed out; check the coordinator's disk",
    'ディスクが時間内に応答しませんでした。コーディネーターのディスクを確認してください',
  ],
  ["it is in use; check the coordinator's disk", '使用中です。コーディネーターのディスクを確認してください'],
  [
    '(?:file or folder not found|a part of the path is a file, not a folder); put back what was removed from the state directory',
    '状態ディレクトリーから失われたファイルがあります。元に戻してください',
  ],
  [
    'permission denied; let the user that runs the coordinator write there',
    '権限がありません。コーディネーターを実行しているユーザーに書き込みを許可してください',
  ],
  [
    'too many files are open; raise the limit .ulimit -n.',
    '開いているファイルが多すぎます。上限（`ulimit -n`）を上げてください',
  ],
  [
    'too many files are open on this machine; close some programs',
    'このマシンで開いているファイルが多すぎます。ほかのプログラムを終了してください',
  ],
  [
    'the (?:state directory|database) (.+) has been moved or removed; move it back, or restart the coordinator with another --state',
    '`$1` が移動または削除されました。元の場所に戻すか、別の `--state` でコーディネーターを再起動してください',
  ],
  [
    'the (?:state directory|database) (.+) has been replaced by another; move it back, or restart the coordinator with another --state',
    '`$1` が別のものに置き換えられました。元に戻すか、別の `--state` でコーディネーターを再起動してください',
  ],
  [
    'the state directory (.+): .+; let the user that runs the coordinator use it',
    '状態ディレクトリー `$1` を使用できません。コーディネーターを実行しているユーザーに許可してください',
  ],
];

const sentences: readonly (readonly [RegExp, string])[] = [
  [step(`${shards} (?:is|are) being computed`), 'ステップ $1：シャード $2 を計算中'],
  [step(`${shards} waits? for a worker`), 'ステップ $1：シャード $2 がワーカーを待っています'],
  [step('no worker is connected'), 'ステップ $1：接続中のワーカーがありません'],
  [
    step('no worker is connected that can compute the job: (.+)'),
    'ステップ $1：このジョブを計算できるワーカーが接続していません（$2）',
  ],
  [step(`${shards} came back without an answer`), 'ステップ $1：シャード $2 が答えのないまま戻りました'],
  [
    step(`nobody fetched ${shards}: the queue may have lost it`),
    'ステップ $1：シャード $2 を誰も取りません。キューから失われたかもしれません',
  ],
  [step(`${shards} (?:is|are) late at (.+)`), 'ステップ $1：シャード $2 が遅れています（$3）'],
  [/^it is paused: (`.+`)$/, '一時停止中：$1 で再開します'],
  [/^its data is being read$/, 'データを読み込み中'],
  [/^(\d+) jobs that come first: (.+)$/, '先に来る $1 件のジョブ：$2'],
  [/^job (\S+), of priority (-?\d+), goes first$/, '優先度 $2 のジョブ $1 が先です'],
  [/^its turn: job (.+) computes a step$/, '順番：ジョブ $1 がステップを計算中'],
  ...disks.map(
    ([why, said]) => [new RegExp(`^.+ could not be written: ${why}$`), `書き込めません。${said}`] as const,
  ),
  [
    /^(?:.+) could not be written: another program has had the database locked since ([\d:]+); end it, or wait until it is done$/,
    '書き込めません。$1 から別のプログラムがデータベースをロックしています。そのプログラムを終了するか、終わるまでお待ちください',
  ],
  [/^Redis does not answer since ([\d:]+)$/, '$1 から Redis が応答していません'],
  [/^closed its stream$/, '接続を閉じました'],
  [/^it leaves$/, '終了します'],
  [/^its connection broke$/, '接続が切れました'],
  [/^the data link broke$/, 'データの接続が切れました'],
  [/^it is back on another connection$/, '別の接続で戻りました'],
  [/^silent for ([\d.]+) s$/, '$1 秒間応答がありません'],
  [/^opened no data link$/, 'データの接続を開きませんでした'],
  [/^it leaves (\d+) bytes unread$/, '$1 バイトを読まないままです'],
  [/^a bad frame: (.+)$/, '不正なフレーム：$1'],
];

export function saidInJapanese(sentence: string): string {
  const found = sentences.find(([pattern]) => pattern.test(sentence));
  return found ? sentence.replace(...found) : sentence;
}

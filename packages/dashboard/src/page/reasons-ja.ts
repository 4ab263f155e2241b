/**
 * What the coordinator says in sentences, in Japanese: why a job waits, and why a worker has gone. The coordinator speaks English, as its
 * logs do; a sentence that is not here is shown as it came.
 */

const shards = String.raw`shards? ([\d, ]+)`;
const step = (said: string) => new RegExp(String.raw`^step (\d+): ${said}$`);

/** Why a disk refuses, and what the operator of the coordinator does about it. */
const disks: readonly (readonly [string, string])[] = [
  [
    "no space is left on the disk; free up space on the coordinator's disk",
    'コーディネーターのディスクに空きがありません。空き容量を増やしてください',
  ],
  [
    "the disk quota is used up; free up space on the coordinator's disk",
    'ディスクの割り当てを使い切りました。コーディネーターのディスクに空きを作ってください',
  ],
  [
    "the disk or network share reported an error; check the coordinator's disk",
    'ディスクまたはネットワーク共有がエラーを返しました。コーディネーターのディスクを確認してください',
  ],
  [
    "the file system is read-only; remount the coordinator's disk as writable",
    'ファイルシステムが読み取り専用です。コーディネーターのディスクを書き込み可能な状態で再マウントしてください',
  ],
  [
    "the network share has replaced it; remount the coordinator's disk",
    'ネットワーク共有のファイルが置き換わりました。コーディネーターのディスクを再マウントしてください',
  ],
  [
    "(?:its device is missing|it is a socket, or its device is missing); remount the coordinator's disk",
    'ディスクが見つかりません。コーディネーターのディスクを再マウントしてください',
  ],
  [
    "timed out; check the coordinator's disk",
    'ディスクが時間内に応答しませんでした。コーディネーターのディスクを確認してください',
  ],
  ["it is in use; check the coordinator's disk", '使用中です。コーディネーターのディスクを確認してください'],
  [
    '(?:file or folder not found|a part of the path is a file, not a folder); restore what was removed from the state directory',
    '状態ディレクトリから失われたファイルがあります。元に戻してください',
  ],
  [
    'permission denied; give the user that runs the coordinator write permission',
    '権限がありません。コーディネーターを実行しているユーザーに書き込み権限を与えてください',
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
    'the state directory (.+): .+; give the user that runs the coordinator access to it',
    '状態ディレクトリ `$1` にアクセスできません。コーディネーターを実行しているユーザーにアクセス権を与えてください',
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
  [step(`${shards} returned without a result`), 'ステップ $1：シャード $2 が結果のないまま戻りました'],
  [
    step(`no worker fetched ${shards}: possibly lost by the queue`),
    'ステップ $1：シャード $2 をどのワーカーも取得していません。キューから失われた可能性があります',
  ],
  [step(`${shards} (?:is|are) overdue on (.+)`), 'ステップ $1：シャード $2 が遅れています（$3）'],
  [/^paused; resume it with (`.+`)$/, '一時停止中です。$1 で再開できます'],
  [/^reading its data$/, 'データを読み込み中'],
  [/^(\d+) jobs are ahead of it: (.+)$/, '先に実行される $1 件のジョブを待っています：$2'],
  [/^job (\S+) has a higher priority \((-?\d+)\)$/, 'ジョブ $1 のほうが優先されます（優先度 $2）'],
  [
    /^jobs take turns: a step of job (.+) is being computed$/,
    '順番を待っています：ジョブ $1 がステップを計算中',
  ],
  ...disks.map(
    ([why, said]) => [new RegExp(`^.+ could not be written: ${why}$`), `書き込めません。${said}`] as const,
  ),
  [
    /^(?:.+) could not be written: another program has kept the database locked since ([\d:]+); stop it, or wait until it is done$/,
    '書き込めません。$1 以降、別のプログラムがデータベースをロックしています。そのプログラムを終了するか、終わるまでお待ちください',
  ],
  [/^Redis has not answered since ([\d:]+)$/, '$1 以降、Redis が応答していません'],
  [/^stream closed$/, '接続を閉じました'],
  [/^shut down$/, '終了しました'],
  [/^connection lost$/, '接続が切れました'],
  [/^data link lost$/, 'データリンクが切れました'],
  [/^reconnected$/, '別の接続でつながり直しました'],
  [/^no message for ([\d.]+) s$/, '$1 秒間メッセージがありませんでした'],
  [/^did not open a data link$/, 'データリンクを開きませんでした'],
  [/^left (\d+) bytes unread$/, '$1 バイトを受け取らないままでした'],
  [/^bad frame: (.+)$/, '不正なフレーム：$1'],
];

export function saidInJapanese(sentence: string): string {
  const found = sentences.find(([pattern]) => pattern.test(sentence));
  return found ? sentence.replace(...found) : sentence;
}

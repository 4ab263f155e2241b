/**
 * What the coordinator says in sentences, in Japanese: why a job waits, and why a worker has gone. The coordinator speaks English, as its
 * logs do; a sentence that is not here is shown as it came.
 */

const shards = String.raw`shards? ([\d, ]+)`;
const step = (said: string) => new RegExp(String.raw`^step (\d+): ${said}$`);

const sentences: readonly (readonly [RegExp, string])[] = [
  [step(`${shards} (?:is|are) being computed`), 'ステップ $1：シャード $2 を計算中'],
  [step(`${shards} waits? for a worker`), 'ステップ $1：シャード $2 がワーカーを待っています'],
  [step('no worker is connected'), 'ステップ $1：接続中のワーカーがありません'],
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
  [
    /^(?:.+) could not be written: (.+); make room on the coordinator's disk$/,
    '書き込めません（$1）。コーディネーターのディスクを空けてください',
  ],
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

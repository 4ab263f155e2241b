/** The events of jobs in Japanese. A code without a line here does not compile. */

import type { Event } from '@kasane/protocol/gen/kasane/v1/jobs';
import {
  type EventTexts,
  eventSentence,
  knownEvent,
  lossText,
  metricText,
} from '@kasane/protocol/internal/events/events';
import { saidInJapanese } from './reasons-ja.ts';

const metricNames = { fraction: '精度', error: '誤差' } as const;

// biome-ignore format: a line each
export const japaneseEvents: EventTexts = {
  'submitted': ({ name }) => `${name} として投入されました`,
  'started': ({ epochs }) => `開始しました（${epochs} エポック）`,
  'waiting': (_, why) => `待機しています：${why}`,
  'continued': ({ step }) => `ステップ ${step} の後から処理を続けています`,
  'stalled': (_, why) => `ほかのジョブに順番を譲ります：${why}`,
  'paused': ({ step }) => `ステップ ${step} で一時停止しました`,
  'resumed': ({ step, epochs }) => `ステップ ${step} から再開しました（エポック ${epochs} まで）`,
  'priority': ({ priority }) => `優先度を ${priority} に変更しました`,
  'epoch': ({ epoch, epochs, metric, trainLoss, trainMetric, testLoss, testMetric, seconds }) => `エポック ${epoch}/${epochs}：損失 ${lossText(trainLoss)}、${metricNames[metric]} ${metricText(metric, trainMetric)}、テスト損失 ${lossText(testLoss)}、テスト${metricNames[metric]} ${metricText(metric, testMetric)}、${seconds.toFixed(1)} 秒`,
  'succeeded': ({ step }) => `ステップ ${step} で完了しました`,
  'failed': ({ step, error }) => `ステップ ${step} で失敗しました：${error}`,
  'cancelled': ({ step }) => `ステップ ${step} で中止されました`,
  'worker-joined': ({ worker, slots, backend }) => `ワーカー ${worker} が参加しました（スロット ${slots}、${backend}）`,
  'worker-left': ({ worker }, why) => `ワーカー ${worker} が切断されました：${why}`,
  'worker-resting': ({ worker }, why) => `ワーカー ${worker}：${why}`,
  'worker-unable': ({ worker, why }) => `ワーカー ${worker} はこのジョブを計算できません：${why}`,
  'worker-excluded': ({ worker }, why) => `ワーカー ${worker} をこのジョブから除外しました：${why}`,
  'tasks-reissued': ({ tasks, first, last }, why) => `ステップ ${first === last ? first : `${first} から ${last}`} のタスク ${tasks} 個を再発行しました：${why}`,
  'restarted': () => 'コーディネーターが再起動しました',
  'restored': ({ step }) => `ステップ ${step} のチェックポイントから再開します`,
  'checkpoint': ({ step }) => `ステップ ${step} のチェックポイントを保存しました`,
  'checkpoint-refused': (_, why) => `学習は続きますが、${why}`,
  'checkpoint-accepted': ({ step }) => `チェックポイントを再び書き込めるようになり、ステップ ${step} を保存しました`,
  'left-out': ({ count }) => `これより前のイベント ${count} 件は記録に残っていません`,
  'earlier-version': () => '以前のバージョンの Kasane による記録です。待機や一時停止、各エポックの時刻はわかりません',
};

/** An event that is not known here, of a newer coordinator, is shown as the sentence that came with it. */
export function toldInJapanese(told: Event): string {
  const event = knownEvent(told);
  return event
    ? eventSentence(event, told.reason ? saidInJapanese(told.reason) : '', japaneseEvents)
    : told.text;
}

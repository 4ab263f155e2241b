/** Buttons for what can be done to a job in its present state. */
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { h } from './dom.ts';
import { hasEnded, PAUSED, RUNNING, SUCCEEDED } from './format.ts';
import { act } from './remote.ts';
import type { SubmitDialog } from './submit.ts';
import { attempt, type Page } from './view.ts';

export function jobActions(page: Page, job: Job, dialog: SubmitDialog): HTMLElement[] {
  const { t } = page;
  const button = (name: string, label: string, click: () => void, kind = '') =>
    h(
      'button',
      {
        type: 'button',
        class: kind,
        'data-key': `${name} ${job.id}`,
        'aria-label': `${label}: ${job.id}`,
        click,
      },
      label,
    );
  const cancel = () => {
    if (confirm(t.cancelSure(job.id))) attempt(page, () => act(job.id, 'cancel'));
  };
  const simple = (name: 'pause' | 'resume' | 'retry') =>
    button(name, t[name], () => attempt(page, () => act(job.id, name)));
  const again = button('again', t.resubmit, () => attempt(page, () => dialog.openCopy(job.id)));
  const remove = () => {
    if (!confirm(t.removeSure(job.id))) return;
    attempt(page, async () => {
      await act(job.id, 'delete');
      location.hash = '#/jobs';
    });
  };
  if (hasEnded(job.state)) {
    const retry = job.state === SUCCEEDED ? [] : [simple('retry')];
    return [...retry, again, button('delete', t.remove, remove, 'danger')];
  }
  const hold = job.state === PAUSED ? [simple('resume')] : job.state <= RUNNING ? [simple('pause')] : [];
  return [priority(page, job), ...hold, button('cancel', t.cancel, cancel, 'danger'), again];
}

/** Whose steps go first: a few steps up and down around 0. */
function priority(page: Page, job: Job): HTMLElement {
  const { t } = page;
  const levels = [...new Set([10, 5, 2, 1, 0, -1, -2, -5, -10, job.priority])].sort((a, b) => b - a);
  const options = levels.map((level) =>
    h('option', { value: level, selected: level === job.priority }, `${t.priority} ${level}`),
  );
  const select = h(
    'select',
    {
      ...{ 'aria-label': `${t.priority}: ${job.id}`, 'data-key': `priority ${job.id}` },
      change: () => attempt(page, () => act(job.id, 'priority', select.value)),
    },
    ...options,
  );
  return select;
}

import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { List } from '../../contract/rest.ts';
import type { Attempt, Delivery, DeliveryDetail, Webhook } from '../../contract/webhook.ts';
import { tallyDeliveries } from '../delivery-tally.ts';
import { rest } from '../gateway.ts';
import { Ago } from '../parts/ago.tsx';
import { Mark } from '../parts/mark.tsx';
import { EmptyNote, ProblemNote, Skeleton } from '../parts/note.tsx';
import { type Resource, useResource } from '../resource.ts';
import { momentText } from '../time-text.ts';
import { countText, percentText } from '../value-text.ts';

const marks = {
  succeeded: { kind: 'good', text: 'Delivered' },
  pending: { kind: 'waiting', text: 'Pending' },
  failed: { kind: 'critical', text: 'Failed' },
  cancelled: { kind: 'off', text: 'Cancelled' },
} as const;

/** Who is told, and whether the telling arrived. */
export function WebhooksPage(): JSX.Element {
  const webhooks = useResource(
    'webhooks',
    (signal) => rest.get<List<Webhook>>('api/v1/webhooks', { limit: '1000' }, signal),
    10_000,
  );
  if (webhooks.value === null) {
    if (webhooks.problem !== null) return <ProblemNote problem={webhooks.problem} reload={webhooks.reload} />;
    return <Skeleton rows={4} />;
  }
  return (
    <div class="page">
      <h1>Webhooks</h1>
      {webhooks.value.items.length === 0 && (
        <EmptyNote title="Nobody is told yet">
          <p>
            Register an address over REST and the gateway signs and sends every alert there:{' '}
            <code>{'POST /api/v1/webhooks {"url":"https://…"}'}</code>
          </p>
        </EmptyNote>
      )}
      {webhooks.value.items.map((webhook) => (
        <WebhookPanel key={webhook.id} webhook={webhook} />
      ))}
    </div>
  );
}

function WebhookPanel({ webhook }: { readonly webhook: Webhook }): JSX.Element {
  const [wanted, setWanted] = useState(20);
  const list = useResource(
    `deliveries ${webhook.id} ${wanted}`,
    (signal) =>
      rest.get<List<Delivery>>(
        `api/v1/webhooks/${encodeURIComponent(webhook.id)}/deliveries`,
        { limit: String(wanted) },
        signal,
      ),
    3_000,
  );
  const deliveries = list.value?.items ?? [];
  const tally = tallyDeliveries(deliveries);
  return (
    <section class="panel" aria-label={`Webhook ${webhook.url}`} data-testid="webhook">
      <header class="panel-head webhook-head">
        <div>
          <h2 class="webhook-url">{webhook.url}</h2>
          <p class="quiet">
            {webhook.events.join(', ')}
            {webhook.description !== '' && ` · ${webhook.description}`}
          </p>
        </div>
        <div class="webhook-state">
          {webhook.enabled ? <Mark kind="good" text="Enabled" /> : <Mark kind="off" text="Disabled" />}
          {tally.success !== null && <span class="number">{percentText(tally.success)} delivered</span>}
        </div>
      </header>
      {list.problem !== null && <ProblemNote problem={list.problem} reload={list.reload} />}
      {list.value === null && list.problem === null && <Skeleton rows={2} />}
      {list.value !== null && deliveries.length === 0 && (
        <p class="quiet panel-empty">Nothing has been sent here yet; the next alert will be.</p>
      )}
      <ul class="rows">
        {deliveries.map((delivery) => (
          <DeliveryRow key={delivery.id} delivery={delivery} />
        ))}
      </ul>
      {list.value !== null && list.value.next !== null && wanted < 1_000 && (
        <button type="button" class="button" onClick={() => setWanted(Math.min(1_000, wanted * 2))}>
          Show older
        </button>
      )}
    </section>
  );
}

function DeliveryRow({ delivery }: { readonly delivery: Delivery }): JSX.Element {
  const [isOpen, setIsOpen] = useState(false);
  return (
    <li class="delivery" data-testid="delivery" data-state={delivery.state}>
      <details onToggle={(toggle) => setIsOpen(toggle.currentTarget.open)}>
        <summary class="row">
          <Mark {...marks[delivery.state]} />
          <span class="row-main">
            <span class="row-title">{delivery.type}</span>
            <span class="row-detail">
              <code>{delivery.id}</code>
              {delivery.state !== 'succeeded' && delivery.attemptCount > 0 && <LastAttempt delivery={delivery} />}
            </span>
          </span>
          <span class="row-side">
            <Ago time={delivery.createdAt} />
            <span class="quiet">
              {countText(delivery.attemptCount)} {delivery.attemptCount === 1 ? 'attempt' : 'attempts'}
            </span>
          </span>
        </summary>
        {isOpen && <Attempts delivery={delivery} />}
      </details>
    </li>
  );
}

/** Why the last try did not do; only asked for where something went wrong. */
function LastAttempt({ delivery }: { readonly delivery: Delivery }): JSX.Element | null {
  const attempt = useDetail(delivery).value?.attempts.at(-1);
  if (attempt === undefined) return null;
  return <strong class="last-attempt"> {answerText(attempt)}</strong>;
}

function answerText(attempt: Attempt): string {
  if (attempt.status === null) return (attempt.error ?? 'no answer').replaceAll('_', ' ');
  return `HTTP ${attempt.status}`;
}

/** Asked for again when the delivery has moved on. */
function useDetail(delivery: Delivery): Resource<DeliveryDetail> {
  return useResource(`delivery ${delivery.id} ${delivery.state} ${delivery.attemptCount}`, (signal) =>
    rest.get<DeliveryDetail>(`api/v1/deliveries/${encodeURIComponent(delivery.id)}`, {}, signal),
  );
}

function Attempts({ delivery }: { readonly delivery: Delivery }): JSX.Element {
  const detail = useDetail(delivery);
  if (detail.value === null) {
    return detail.problem === null ? (
      <Skeleton rows={1} />
    ) : (
      <ProblemNote problem={detail.problem} reload={detail.reload} />
    );
  }
  const { attempts, body, nextAttemptAt } = detail.value;
  return (
    <div class="attempts">
      {attempts.length === 0 && <p class="quiet">Not tried yet.</p>}
      <ol>
        {attempts.map((attempt) => (
          <li key={attempt.number} data-testid="attempt">
            <span class="number">#{attempt.number}</span> <strong>{answerText(attempt)}</strong>
            <span class="quiet">
              {' '}
              · {Math.round(attempt.durationMs)} ms ·{' '}
              {momentText(Date.parse(attempt.startedAt), Date.parse(attempt.startedAt))}
            </span>
            {attempt.excerpt !== null && attempt.excerpt !== '' && <pre tabIndex={0}>{attempt.excerpt}</pre>}
          </li>
        ))}
      </ol>
      {nextAttemptAt !== null && (
        <p class="quiet">Tried next at {momentText(Date.parse(nextAttemptAt), Date.parse(delivery.createdAt))}.</p>
      )}
      <p class="quiet">Body</p>
      <pre tabIndex={0}>{body}</pre>
    </div>
  );
}

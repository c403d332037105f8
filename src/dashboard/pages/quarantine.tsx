import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { Quarantined, Retried } from '../../contract/quarantine.ts';
import type { List } from '../../contract/rest.ts';
import { rest } from '../gateway.ts';
import { Ago } from '../parts/ago.tsx';
import { ConfirmButton } from '../parts/confirm-button.tsx';
import { EmptyNote, ProblemNote, Skeleton } from '../parts/note.tsx';
import { ProblemLine } from '../parts/problem-line.tsx';
import { payloadText, reasonText } from '../payload-text.ts';
import { useResource } from '../resource.ts';
import { useAction } from '../use-action.ts';
import { countText } from '../value-text.ts';

const listEveryMs = 5_000;
const firstPage = 50;
const listMax = 1_000;

/** What was refused and why, with a way to have it taken after all. */
export function QuarantinePage(): JSX.Element {
  const [wanted, setWanted] = useState(firstPage);
  const list = useResource(
    `quarantine ${wanted}`,
    (signal) => rest.get<List<Quarantined>>('api/v1/quarantine', { limit: String(wanted) }, signal),
    listEveryMs,
  );
  if (list.value === null) {
    if (list.problem !== null) return <ProblemNote problem={list.problem} reload={list.reload} />;
    return <Skeleton rows={5} />;
  }
  const { items, next } = list.value;
  return (
    <div class="page">
      <header class="page-head">
        <h1>Quarantine</h1>
      </header>
      {items.length === 0 ? (
        <EmptyNote title="Nothing is in quarantine">
          <p>A message that the gateway cannot take is kept here, with the reason, until somebody looks at it.</p>
        </EmptyNote>
      ) : (
        <>
          <Reasons items={items} isComplete={next === null} onRetried={list.reload} />
          <ul class="panel rows" aria-label="Refused messages">
            {items.map((message) => (
              <MessageRow key={message.id} message={message} onGone={list.reload} />
            ))}
          </ul>
        </>
      )}
      {next !== null && wanted < listMax && (
        <button type="button" class="button" onClick={() => setWanted(Math.min(listMax, wanted * 4))}>
          Show older
        </button>
      )}
    </div>
  );
}

interface ReasonsProps {
  readonly items: readonly Quarantined[];
  /** False when there are older messages that are not in `items`. */
  readonly isComplete: boolean;
  readonly onRetried: () => void;
}

/** A mended cause clears every message that it held up: one button for each reason. */
function Reasons({ items, isComplete, onRetried }: ReasonsProps): JSX.Element {
  const action = useAction();
  const [outcome, setOutcome] = useState('');
  const counts = new Map<string, number>();
  for (const { reason } of items) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  const retry = (reason: string): void => {
    setOutcome('');
    void action.run(async () => {
      const retried = await rest.send<Retried>('POST', 'api/v1/quarantine/retry', { reason });
      setOutcome(outcomeText(retried));
      onRetried();
    });
  };
  return (
    <section class="panel" aria-labelledby="reasons">
      <header class="panel-head">
        <h2 id="reasons">Reasons</h2>
      </header>
      <ul class="rows">
        {[...counts].map(([reason, count]) => (
          <li key={reason} class="queue-row" data-testid="reason" data-reason={reason}>
            <span class="queue-name">
              {reasonText(reason)}{' '}
              <span class="quiet number">
                {countText(count)}
                {!isComplete && '+'}
              </span>
            </span>
            <button
              type="button"
              class="button"
              disabled={action.isBusy}
              aria-label={`Retry all: ${reasonText(reason)}`}
              onClick={() => retry(reason)}
            >
              Retry all
            </button>
          </li>
        ))}
      </ul>
      <p class="panel-outcome" role="status">
        {outcome}
      </p>
      <ProblemLine problem={action.problem} />
    </section>
  );
}

function outcomeText({ accepted, refused, reasons, more }: Retried): string {
  const still = Object.entries(reasons).map(([reason, count]) => `${countText(count)} ${reasonText(reason)}`);
  return [
    `${countText(accepted)} taken`,
    refused === 0 ? '' : `, ${countText(refused)} still wrong (${still.join(', ')})`,
    more ? '; there are more, retry again' : '',
  ].join('');
}

function MessageRow({ message, onGone }: { readonly message: Quarantined; readonly onGone: () => void }): JSX.Element {
  const action = useAction();
  const [isOpen, setIsOpen] = useState(false);
  const path = `api/v1/quarantine/${message.id}`;
  const act = (method: 'POST' | 'DELETE', target: string): void => {
    void action.run(async () => {
      await rest.send(method, target);
      onGone();
    });
  };
  return (
    <li class="message" data-testid="quarantined" data-reason={message.reason}>
      <p class="message-head">
        <strong>{reasonText(message.reason)}</strong>
        <Ago time={message.receivedAt} />
      </p>
      <p class="row-detail">
        <code>{message.topic}</code>
        {message.client !== null && <span class="quiet"> from {message.client}</span>}
      </p>
      <p>
        {message.pointer !== '' && <code>{message.pointer}</code>} {message.detail}
      </p>
      <details onToggle={(toggle) => setIsOpen(toggle.currentTarget.open)}>
        <summary>
          {message.encoding === 'utf-8' ? 'Payload' : 'Payload, not text'}{' '}
          <span class="quiet number">{countText(message.payloadBytes)} bytes</span>
        </summary>
        {isOpen && <Payload message={message} path={path} />}
      </details>
      <ProblemLine
        problem={action.problem}
        {...(action.problem?.code === 'validation_failed' ? { title: 'It is still wrong' } : {})}
      />
      <div class="form-end">
        <button type="button" class="button" disabled={action.isBusy} onClick={() => act('POST', `${path}/retry`)}>
          Retry
        </button>
        <ConfirmButton
          text="Delete"
          question="The message is lost for good."
          isDangerous
          isBusy={action.isBusy}
          onConfirm={() => act('DELETE', path)}
        />
      </div>
    </li>
  );
}

/** Lists cut long payloads; the whole of one is asked for when it is looked at. */
function Payload({ message, path }: { readonly message: Quarantined; readonly path: string }): JSX.Element {
  const whole = useResource(`quarantined ${message.id}`, (signal) =>
    message.truncated ? rest.get<Quarantined>(path, {}, signal) : Promise.resolve(message),
  );
  return (
    <>
      <ProblemLine problem={whole.problem} />
      <pre tabIndex={0}>{payloadText(whole.value ?? message)}</pre>
    </>
  );
}

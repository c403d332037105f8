import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { Alert } from '../../contract/alert.ts';
import type { List } from '../../contract/rest.ts';
import { openAlerts, rest } from '../gateway.ts';
import { AlertRow } from '../parts/alert-row.tsx';
import { EmptyNote, ProblemNote, Skeleton } from '../parts/note.tsx';
import { useResource } from '../resource.ts';
import { countText } from '../value-text.ts';

const pageSize = 50;

/** Every episode: the open ones as they are now, the resolved ones below, newest first. */
export function AlertsPage(): JSX.Element {
  const [wanted, setWanted] = useState(pageSize);
  const listed = useResource(`alerts ${wanted}`, (signal) => loadAlerts(wanted, signal));
  const alerts = openAlerts.merge(listed.value?.items ?? []);
  const open = alerts.filter((alert) => alert.state === 'firing');
  const resolved = alerts.filter((alert) => alert.state === 'resolved');

  if (listed.value === null && alerts.length === 0) {
    if (listed.problem !== null) return <ProblemNote problem={listed.problem} reload={listed.reload} />;
    return <Skeleton rows={5} />;
  }
  return (
    <div class="page">
      <h1>Alerts</h1>
      {listed.problem !== null && <ProblemNote problem={listed.problem} reload={listed.reload} />}
      <section class="panel" aria-labelledby="open">
        <header class="panel-head">
          <h2 id="open">Open</h2>
          <span class="quiet">{countText(open.length)}</span>
        </header>
        {open.length === 0 ? (
          <p class="quiet panel-empty">Every watched value is within its limits.</p>
        ) : (
          <AlertRows alerts={open} />
        )}
      </section>
      <section class="panel" aria-labelledby="resolved">
        <header class="panel-head">
          <h2 id="resolved">Resolved</h2>
        </header>
        {resolved.length === 0 ? (
          <p class="quiet panel-empty">No episode has ended yet.</p>
        ) : (
          <AlertRows alerts={resolved} />
        )}
        {listed.value?.next !== null && listed.value !== null && (
          <button type="button" class="button" onClick={() => setWanted(wanted + pageSize)}>
            Show older
          </button>
        )}
      </section>
      {alerts.length === 0 && (
        <EmptyNote title="No rule has fired">
          <p>
            Rules are written over REST: <code>POST /api/v1/rules</code> with a device, a metric and a limit.
          </p>
        </EmptyNote>
      )}
    </div>
  );
}

function AlertRows({ alerts }: { readonly alerts: readonly Alert[] }): JSX.Element {
  return (
    <ul class="rows">
      {alerts.map((alert) => (
        <AlertRow key={alert.id} alert={alert} />
      ))}
    </ul>
  );
}

function loadAlerts(wanted: number, signal: AbortSignal): Promise<List<Alert>> {
  return rest.get<List<Alert>>('api/v1/alerts', { limit: String(Math.min(wanted, 1_000)) }, signal);
}

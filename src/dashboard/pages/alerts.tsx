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

/** Every episode: the open ones as they are now, the resolved ones below, newest first. `linked` is shown above them. */
export function AlertsPage({ linked }: { readonly linked: string | null }): JSX.Element {
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
      {linked !== null && <LinkedAlert key={linked} id={linked} />}
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

/** The episode that a link names, however long ago it was. */
function LinkedAlert({ id }: { readonly id: string }): JSX.Element {
  const asked = useResource(`alert ${id}`, (signal) =>
    rest.get<Alert>(`api/v1/alerts/${encodeURIComponent(id)}`, {}, signal),
  );
  const alert = openAlerts.recent.value.find((known) => known.id === id) ?? asked.value;
  if (alert === null && asked.problem !== null) {
    if (asked.problem.status !== 404) return <ProblemNote problem={asked.problem} reload={asked.reload} />;
    return (
      <EmptyNote title="This alert is not known here">
        <p>
          <code>{id}</code> belongs to another gateway, or to this one before it was reset.
        </p>
      </EmptyNote>
    );
  }
  return (
    <section class="panel linked-alert" aria-labelledby="linked">
      <header class="panel-head">
        <h2 id="linked">From the link</h2>
        <a href="#/alerts">All alerts</a>
      </header>
      {alert === null ? <Skeleton rows={1} /> : <AlertRows alerts={[alert]} />}
    </section>
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

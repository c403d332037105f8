import type { JSX } from 'preact';
import type { StorageState } from '../contract/storage.ts';
import { now, rest } from './gateway.ts';
import { Skeleton } from './parts/note.tsx';
import { useResource } from './resource.ts';
import { storageFacts } from './storage-text.ts';

/** What is stored, how fast it grows and how long there is room. */
export function StoragePanel(): JSX.Element {
  const storage = useResource('storage', loadStorage, 30_000);
  return (
    <section aria-labelledby="storage">
      <header class="panel-head">
        <h2 id="storage">Storage</h2>
      </header>
      {storage.value === null ? (
        storage.problem === null ? (
          <Skeleton rows={2} />
        ) : (
          <p class="quiet panel-empty" role="alert">
            {storage.problem.message}{' '}
            <button type="button" class="button" onClick={storage.reload}>
              Try again
            </button>
          </p>
        )
      ) : (
        <>
          <dl class="values storage-values" data-testid="storage">
            {storageFacts(storage.value, now.value + rest.clockAhead).map(({ name, text, detail, tone }) => (
              <div key={name} class={`storage-${tone}`}>
                <dt>{name}</dt>
                <dd>
                  <span class="number">{text}</span>
                  <span class="storage-detail">{detail}</span>
                </dd>
              </div>
            ))}
          </dl>
          {storage.problem !== null && <p class="quiet">{storage.problem.title}: these numbers are old.</p>}
        </>
      )}
    </section>
  );
}

function loadStorage(signal: AbortSignal): Promise<StorageState> {
  return rest.get<StorageState>('api/v1/storage', {}, signal);
}

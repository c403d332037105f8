import type { ComponentChildren, JSX } from 'preact';
import { broker } from '../broker.ts';
import { publishLine } from '../broker-address.ts';
import type { ProblemError } from '../rest-client.ts';
import { key } from '../session.ts';

/** A request that failed, in the gateway's own words, and what to do. */
export function ProblemNote({
  problem,
  reload,
}: {
  readonly problem: ProblemError;
  readonly reload: () => void;
}): JSX.Element {
  return (
    <section class="note note-problem" role="alert">
      <h2>{problem.title}</h2>
      {problem.detail !== '' && <p>{problem.detail}</p>}
      <button type="button" class="button" onClick={reload}>
        Try again
      </button>
      {problem.status > 0 && (
        <p class="quiet">
          HTTP {problem.status} · {problem.code}
        </p>
      )}
    </section>
  );
}

/** Nothing here yet, and why that is fine or what would change it. */
export function EmptyNote({
  title,
  children,
}: {
  readonly title: string;
  readonly children?: ComponentChildren;
}): JSX.Element {
  return (
    <section class="note">
      <h2>{title}</h2>
      {children}
    </section>
  );
}

/**
 * No device has ever spoken: two ways to hear one. Its words hold whether or not the gateway answers just now. Where a
 * key was asked for, a device needs a token, and neither way leads anywhere.
 */
export function FirstRun(): JSX.Element {
  if (key.value !== null) {
    return (
      <EmptyNote title="No device yet">
        <p>
          Add the first one under <a href="#/devices">Devices</a>: it gets a token, with a line that sends a reading.
          Nobody is let in without one.
        </p>
      </EmptyNote>
    );
  }
  return (
    <section class="note note-first-run" data-testid="first-run">
      <h2>Waiting for the first reading</h2>
      <p>No device has spoken to this gateway yet. In another terminal, start sixteen simulated ones:</p>
      <pre tabIndex={0}>npm run simulate</pre>
      <p>or send one reading of your own:</p>
      <pre tabIndex={0}>{publishLine(broker.value, { device: 'room-1', token: null })}</pre>
      <p class="quiet">This page notices by itself.</p>
    </section>
  );
}

/** What stands in for a page while it is asked for; unseen for the first 200 ms. */
export function Skeleton({ rows }: { readonly rows: number }): JSX.Element {
  return (
    <div class="skeleton" role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, index) => (
        <div key={index} class="skeleton-row" />
      ))}
    </div>
  );
}

import type { JSX } from 'preact';
import type { ProblemError } from '../rest-client.ts';

/** Why something that was asked for was not done, beside where it was asked; nothing when there is no problem. */
export function ProblemLine({
  problem,
  title,
}: {
  readonly problem: ProblemError | null;
  /** In place of the gateway's own, which knows less of what was asked. */
  readonly title?: string;
}): JSX.Element | null {
  if (problem === null) return null;
  const named = problem.faults.filter(({ pointer }) => pointer !== '');
  return (
    <div class="problem" role="alert">
      <p>
        <strong>{title ?? problem.title}.</strong> {named.length === 0 && problem.detail}
      </p>
      {named.map(({ pointer, detail }) => (
        <p key={pointer + detail}>
          <code>{pointer}</code> {detail}
        </p>
      ))}
    </div>
  );
}

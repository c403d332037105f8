import type { ComponentChildren, JSX } from 'preact';

interface StatProps {
  readonly name: string;
  readonly value: string;
  /** The whole that `value` is a part of. */
  readonly of?: string;
  readonly detail: string;
  readonly tone: 'calm' | 'good' | 'watch' | 'alarm';
  readonly href?: string;
  readonly testId?: string;
  readonly children?: ComponentChildren;
}

/** One number to be read from across the room, and what it means. */
export function Stat({ name, value, of, detail, tone, href, testId, children }: StatProps): JSX.Element {
  const body = (
    <>
      <span class="stat-name">{name}</span>
      <span class="stat-value number" data-testid={testId}>
        {value}
        {of !== undefined && <span class="stat-of"> / {of}</span>}
      </span>
      <span class="stat-detail">{detail}</span>
      {children}
    </>
  );
  const style = `stat stat-${tone}`;
  return href === undefined ? (
    <div class={style}>{body}</div>
  ) : (
    <a class={style} href={href}>
      {body}
    </a>
  );
}

import type { JSX } from 'preact';

/** What a mark means; each has its own colour and its own shape, and stands beside its word. */
export type MarkKind = 'good' | 'off' | 'unknown' | 'critical' | 'warning' | 'info' | 'waiting';

const shapes: Readonly<Record<MarkKind, JSX.Element>> = {
  good: <circle cx="6" cy="6" r="4.5" />,
  off: <path class="hollow" d="M2.5 2.5h7v7h-7z" />,
  unknown: <path class="hollow" d="M6 1.5 10.5 6 6 10.5 1.5 6z" />,
  critical: <path d="M6 .8 11.6 11H.4z" />,
  warning: <path d="M6 .8 11.2 6 6 11.2.8 6z" />,
  info: <path d="M2 2h8v8H2z" />,
  waiting: <circle class="hollow" cx="6" cy="6" r="4" />,
};

/** A shape, a colour and a word: the three ways in which every state is told. */
export function Mark({ kind, text }: { readonly kind: MarkKind; readonly text: string }): JSX.Element {
  return (
    <span class={`mark mark-${kind}`}>
      <svg viewBox="0 0 12 12" aria-hidden="true" focusable="false">
        {shapes[kind]}
      </svg>
      {text}
    </span>
  );
}

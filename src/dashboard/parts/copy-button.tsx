import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { clock } from '../gateway.ts';

const thanksMs = 2_000;

/** Copies a text and says so; where the browser does not let it, the text beside it can be copied by hand. */
export function CopyButton({ text, name }: { readonly text: string; readonly name: string }): JSX.Element {
  const [outcome, setOutcome] = useState<'copied' | 'refused' | null>(null);
  useEffect(() => (outcome === null ? undefined : clock.after(thanksMs, () => setOutcome(null))), [outcome]);
  return (
    <button
      type="button"
      class="button"
      aria-label={`Copy the ${name}`}
      onClick={() => void copy(text).then((isCopied) => setOutcome(isCopied ? 'copied' : 'refused'))}
    >
      <span aria-live="polite">
        {outcome === 'copied' ? 'Copied' : outcome === 'refused' ? 'Copy it by hand' : 'Copy'}
      </span>
    </button>
  );
}

/** Over plain HTTP a browser has no clipboard; the older way goes through a selection. */
async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = document.createElement('textarea');
    field.value = text;
    field.className = 'hidden';
    document.body.append(field);
    field.select();
    const isCopied = document.execCommand('copy');
    field.remove();
    return isCopied;
  }
}

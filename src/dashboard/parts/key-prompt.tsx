import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { rest, signIn } from '../gateway.ts';
import type { ProblemError } from '../rest-client.ts';
import { useAction } from '../use-action.ts';

/** Asks for a key once; the gateway is asked whether it fits before anything is shown with it. */
export function KeyPrompt({ reason }: { readonly reason: ProblemError }): JSX.Element {
  const [text, setText] = useState('');
  const action = useAction();
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const given = text.trim();
    if (given === '') return;
    void action.run(async () => {
      await rest.tryKey(given);
      signIn(given);
    });
  };
  // A key that was taken away while the page was open is named by the gateway.
  const problem = action.problem ?? (reason.detail.startsWith('send a key') ? null : reason);
  return (
    <form class="note form" onSubmit={submit} data-testid="key-prompt">
      <h2>This gateway asks for a key</h2>
      <p>
        A key with the scope <code>read</code> shows everything; changes need <code>admin</code>. One is made with{' '}
        <code>pulsegate keys create</code> on the machine that the gateway runs on.
      </p>
      <label class="field">
        <span>Key</span>
        <input
          type="password"
          name="key"
          autocomplete="off"
          spellcheck={false}
          placeholder="pulse_…"
          required
          value={text}
          onInput={(input) => setText(input.currentTarget.value)}
        />
      </label>
      {problem !== null && (
        <p class="problem" role="alert">
          {problem.status === 401 ? `That key does not fit: ${problem.detail}.` : `${problem.title}. ${problem.detail}`}
        </p>
      )}
      <div class="form-end">
        <button type="submit" class="button button-main" disabled={action.isBusy}>
          Sign in
        </button>
      </div>
      <p class="quiet">Kept for this tab until you sign out or close it.</p>
    </form>
  );
}

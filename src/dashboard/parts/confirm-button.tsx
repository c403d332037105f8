import type { JSX } from 'preact';
import { useState } from 'preact/hooks';

interface ConfirmButtonProps {
  readonly text: string;
  /** What will happen, said before it does. */
  readonly question: string;
  readonly isDangerous?: boolean;
  readonly isBusy: boolean;
  readonly onConfirm: () => void;
}

/** A button for what cannot be taken back: it says what will happen and asks once more in the same place. */
export function ConfirmButton(props: ConfirmButtonProps): JSX.Element {
  const { text, question, isDangerous = false, isBusy, onConfirm } = props;
  const [isAsking, setIsAsking] = useState(false);
  if (!isAsking) {
    return (
      <button
        type="button"
        class={`button${isDangerous ? ' button-danger' : ''}`}
        disabled={isBusy}
        onClick={() => setIsAsking(true)}
      >
        {text}
      </button>
    );
  }
  return (
    <span class="confirm" role="group" aria-label={`${text}?`}>
      <span>{question}</span>
      <button
        type="button"
        class={`button ${isDangerous ? 'button-danger' : 'button-main'}`}
        disabled={isBusy}
        onClick={() => {
          setIsAsking(false);
          onConfirm();
        }}
      >
        Yes, {text.toLowerCase()}
      </button>
      <button type="button" class="button" autofocus onClick={() => setIsAsking(false)}>
        No
      </button>
    </span>
  );
}

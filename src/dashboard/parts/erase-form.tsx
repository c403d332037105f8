import type { JSX } from 'preact';
import { useState } from 'preact/hooks';

interface EraseFormProps {
  /** What has to be typed, so that it is not done in passing or to another device. */
  readonly device: string;
  readonly isBusy: boolean;
  readonly onErase: () => void;
}

/** For what destroys readings: apart from all other buttons, and only for whoever types the device's id. */
export function EraseForm({ device, isBusy, onErase }: EraseFormProps): JSX.Element {
  const [typed, setTyped] = useState('');
  const submit = (event: Event): void => {
    event.preventDefault();
    if (typed === device) onErase();
  };
  return (
    <form class="erase" onSubmit={submit} data-testid="erase-device">
      <h3>Erase with all readings</h3>
      <p>
        The device is deleted with every reading that it sent and its refused messages. Nothing brings them back but a
        backup. To stop a device and keep what it sent, block or delete it above.
      </p>
      <div class="form-end">
        <label class="field">
          <span>Type {device} to confirm</span>
          <input
            name="confirm"
            value={typed}
            autocomplete="off"
            autocapitalize="off"
            spellcheck={false}
            onInput={(input) => setTyped(input.currentTarget.value)}
          />
        </label>
        <button type="submit" class="button button-danger" disabled={isBusy || typed !== device}>
          Erase for good
        </button>
      </div>
    </form>
  );
}

import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { broker, setBroker } from '../broker.ts';
import { brokerText, publishLine } from '../broker-address.ts';
import { CopyButton } from './copy-button.tsx';

interface TokenNoteProps {
  readonly device: string;
  readonly token: string;
  readonly onClose: () => void;
}

/** A new token, seen once, with a line that uses it. */
export function TokenNote({ device, token, onClose }: TokenNoteProps): JSX.Element {
  const [address, setAddress] = useState(brokerText(broker.value));
  const [isAddress, setIsAddress] = useState(true);
  const line = publishLine(broker.value, { device, token });
  return (
    <section class="note token-note" aria-labelledby="token-title" data-testid="token-note">
      <h2 id="token-title">The token of {device}</h2>
      <p>Its password on MQTT; the user name is the device id. It is shown this once: copy it now.</p>
      <div class="copy-line">
        <code data-testid="token">{token}</code>
        <CopyButton text={token} name="token" />
      </div>
      <label class="field">
        <span>Broker, as the device reaches it</span>
        <input
          type="text"
          name="broker"
          spellcheck={false}
          autocomplete="off"
          value={address}
          aria-invalid={!isAddress}
          onInput={(input) => {
            setAddress(input.currentTarget.value);
            setIsAddress(setBroker(input.currentTarget.value));
          }}
        />
      </label>
      {!isAddress && <p class="problem">Write a host and a port such as 192.168.1.20:1883.</p>}
      <p>Send a first reading:</p>
      <div class="copy-line">
        <pre tabIndex={0} data-testid="publish-line">
          {line}
        </pre>
        <CopyButton text={line} name="line" />
      </div>
      <div class="form-end">
        <button type="button" class="button button-main" onClick={onClose}>
          I have it
        </button>
      </div>
    </section>
  );
}

import { type ReadonlySignal, signal } from '@preact/signals';
import { type BrokerAddress, brokerText, defaultPort, parseBroker } from './broker-address.ts';

const storageKey = 'pulsegate.broker';
const known = signal<BrokerAddress>(stored() ?? { host: pageHost(), port: defaultPort });

/** The broker as devices see it: the host of this page on MQTT's own port, until somebody says otherwise. */
export const broker: ReadonlySignal<BrokerAddress> = known;

/** Takes what somebody wrote and remembers it in this browser; false when it is no address. */
export function setBroker(text: string): boolean {
  const address = parseBroker(text);
  if (address === null) return false;
  known.value = address;
  try {
    localStorage.setItem(storageKey, brokerText(address));
  } catch {
    // A browser that keeps nothing still uses it until the tab closes.
  }
  return true;
}

function pageHost(): string {
  return window.location.hostname.replace(/^\[|\]$/g, '') || '127.0.0.1';
}

function stored(): BrokerAddress | null {
  try {
    const text = localStorage.getItem(storageKey);
    return text === null ? null : parseBroker(text);
  } catch {
    return null;
  }
}

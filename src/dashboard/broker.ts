import { computed, effect, type ReadonlySignal, signal } from '@preact/signals';
import type { Broker } from '../contract/broker.ts';
import { type BrokerAddress, brokerOf, brokerText, defaultPort, parseBroker } from './broker-address.ts';
import { connection, rest } from './gateway.ts';

const storageKey = 'pulsegate.broker';
const written = signal<BrokerAddress | null>(stored());
const told = signal<BrokerAddress>({ host: pageHost(), port: defaultPort });

/**
 * The broker as devices see it: what somebody wrote here, else what the gateway says; until it has, the host of this
 * page on MQTT's own port.
 */
export const broker: ReadonlySignal<BrokerAddress> = computed(() => written.value ?? told.value);

/** Asks the gateway whenever it is there again, for it may have come back on another port; called once. */
export function startBroker(): void {
  const isLive = computed(() => connection.value.kind === 'live');
  effect(() => {
    if (!isLive.value) return;
    rest.get<Broker>('api/v1/broker').then(
      (answer) => {
        told.value = brokerOf(answer, pageHost()) ?? told.value;
      },
      () => {
        // What was assumed before still holds; the page says elsewhere that the gateway is not there.
      },
    );
  });
}

/** Takes what somebody wrote and remembers it in this browser; false when it is no address. */
export function setBroker(text: string): boolean {
  const address = parseBroker(text);
  if (address === null) return false;
  written.value = address;
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

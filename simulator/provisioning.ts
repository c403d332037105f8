import { connect } from 'mqtt';
import { CredentialError } from './credential-error.ts';
import type { GatewayNotice } from './gateway-notice.ts';

/** Devices that ask at the same time. */
const together = 8;
const retryMs = 1_000;

export interface ProvisioningPlan {
  readonly url: string;
  /** The provisioning key, the same for all. */
  readonly key: string;
  readonly devices: readonly string[];
  readonly notice: GatewayNotice;
  /** Called at once with each token, which the gateway shows this once. */
  readonly onToken: (device: string, token: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Lets each device ask for a token of its own, as a factory-fresh one does: it signs in with its id and the provisioning
 * key, publishes on `devices/{id}/provision` and reads `devices/{id}/provision/reply`. Resolves with how many must be
 * approved by a person before their readings are taken; early when `signal` aborts. Waits for a gateway that does not
 * answer. Throws `CredentialError` at the first refusal; nobody else asks then.
 */
export async function provision(plan: ProvisioningPlan): Promise<number> {
  const stop = new AbortController();
  const signal = AbortSignal.any([plan.signal, stop.signal]);
  const queue = plan.devices.values();
  let pending = 0;
  const work = async (): Promise<void> => {
    for (const device of queue) {
      if (signal.aborted) return;
      const answer = await ask(device, plan, signal);
      if (answer === null) return;
      plan.onToken(device, answer.token);
      if (answer.approval === 'pending') pending++;
    }
  };
  try {
    await Promise.all(Array.from({ length: together }, work));
  } finally {
    stop.abort();
  }
  return pending;
}

interface Granted {
  readonly token: string;
  readonly approval: string;
}

/** One device's question; null when `signal` aborted before the answer. */
async function ask(
  device: string,
  { url, key, notice }: Pick<ProvisioningPlan, 'url' | 'key' | 'notice'>,
  signal: AbortSignal,
): Promise<Granted | null> {
  const topic = `devices/${device}/provision`;
  const client = connect(url, {
    clientId: device,
    username: device,
    password: key,
    protocolVersion: 4,
    clean: true,
    reconnectPeriod: retryMs,
  });
  const aborted = new AbortController();
  try {
    return await new Promise<Granted | null>((resolve, reject) => {
      client.on('connect', () => {
        notice.connected();
        client.subscribe(`${topic}/reply`, { qos: 1 });
        client.publish(topic, '', { qos: 1 });
      });
      client.on('message', (_topic, payload) => {
        try {
          resolve(parseReply(device, payload.toString()));
        } catch (error) {
          reject(error);
        }
      });
      client.on('error', (error) => {
        if (!('code' in error) || typeof error.code !== 'number') notice.failed(error, device);
        else reject(new CredentialError(refusalText(url, error.code, device)));
      });
      signal.addEventListener('abort', () => resolve(null), { once: true, signal: aborted.signal });
    });
  } finally {
    aborted.abort();
    await client.endAsync(signal.aborted);
  }
}

/** Return codes of CONNACK, MQTT 3.1.1 section 3.2.2.3. */
function refusalText(url: string, code: number, device: string): string {
  if (code === 4 || code === 5) {
    return `The gateway at ${url} refused the provisioning key: it is wrong, has expired, or too many wrong ones were tried.`;
  }
  return `The gateway at ${url} refused the connection of ${device} with code ${code}.`;
}

function parseReply(device: string, text: string): Granted {
  const reply: unknown = JSON.parse(text);
  const member = (name: string): string => {
    const value: unknown = typeof reply === 'object' && reply !== null ? Reflect.get(reply, name) : undefined;
    return typeof value === 'string' ? value : '';
  };
  const token = member('token');
  if (member('status') === 'accepted' && token !== '') return { token, approval: member('approval') };
  throw new CredentialError(`The gateway gave ${device} no token: ${member('detail') || text}`);
}

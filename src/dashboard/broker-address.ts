import type { Broker } from '../contract/broker.ts';

/** Where devices connect. */
export interface BrokerAddress {
  readonly host: string;
  readonly port: number;
}

/** MQTT's own. */
export const defaultPort = 1883;
/** Reads `host`, `host:port`, `[::1]:1883` and `mqtt://host:port`; null for anything else. */
export function parseBroker(text: string): BrokerAddress | null {
  const bare = text.trim().replace(/^(?:mqtt|tcp):\/\//i, '');
  const [, bracketed, plain, port] = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::(\d{1,5}))?\/?$/i.exec(bare) ?? [];
  const host = bracketed ?? plain;
  const number = port === undefined ? defaultPort : Number(port);
  return host === undefined || number < 1 || number > 65_535 ? null : { host, port: number };
}

/** What the gateway says of its broker, as devices reach it: a wildcard is the host of the page; null where it speaks no plain MQTT. */
export function brokerOf({ url }: Pick<Broker, 'url'>, pageHost: string): BrokerAddress | null {
  const address = /^mqtt:/i.test(url) ? parseBroker(url) : null;
  return address !== null && ['0.0.0.0', '::'].includes(address.host) ? { ...address, host: pageHost } : address;
}

export function brokerText({ host, port }: BrokerAddress): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/**
 * A line for a shell that sends one reading. Ids, tokens and hosts are made of characters that a shell leaves alone.
 */
export function publishLine(
  { host, port }: BrokerAddress,
  { device, token }: { readonly device: string; readonly token: string | null },
): string {
  const login = token === null ? '' : ` -i ${device} -u ${device} -P ${token}`;
  return `mosquitto_pub -h ${host} -p ${port}${login} -q 1 -t devices/${device}/telemetry -m '{"temperature":21.4}'`;
}

import { connect as connectTcp } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { createWebSocketStream, WebSocket } from 'ws';

/** Where the broker is, and what is shown to it and expected of it. PEM texts, not files. */
export interface Endpoint {
  /** `mqtt://`, `mqtts://`, `ws://` or `wss://`. */
  readonly url: string;
  /** Certificate authorities beside those that Node knows; null for those alone. */
  readonly ca: string | null;
  /** Client certificate and its private key; null for none. */
  readonly cert: string | null;
  readonly key: string | null;
}

/** Opens a stream to the broker; what goes wrong comes as its `error`. */
export function openStream({ url, ca, cert, key }: Endpoint): Duplex {
  const { protocol, hostname, port } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, '');
  const secure = {
    ...(ca === null ? {} : { ca }),
    ...(cert === null ? {} : { cert }),
    ...(key === null ? {} : { key }),
  };
  switch (protocol) {
    case 'mqtts:':
      // A server name must be a name (RFC 6066 section 3); an address is checked as such.
      return connectTls({
        host,
        port: Number(port || 8883),
        ...secure,
        ...(isName(host) ? { servername: host } : {}),
      }).setNoDelay(true);
    case 'ws:':
    case 'wss:': {
      const socket = new WebSocket(url, 'mqtt', { ...secure, perMessageDeflate: false });
      return createWebSocketStream(socket, { writableObjectMode: false });
    }
    default:
      return connectTcp({ host, port: Number(port || 1883), noDelay: true });
  }
}

function isName(host: string): boolean {
  return !/^[\d.]+$|:/.test(host);
}

import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type Server as TlsServer, type TLSSocket } from 'node:tls';
import { messageOf, RejectedError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { DeviceCertificate } from '../gatekeeper.ts';
import type { Door, Visit } from './door.ts';
import type { ByteStream } from './guarded-connection.ts';

/** MQTT over TLS; paths of PEM files. */
export interface TlsOptions {
  readonly cert: string;
  readonly key: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** Authorities of device certificates; "" for none. */
  readonly clientCa: string;
  readonly requireCertificate: boolean;
}

/** A connection that came in: its bytes, and who it says it is before it says anything. */
export type Accept = (stream: ByteStream, visit: Visit, certificate: () => DeviceCertificate | null) => void;

export interface ListenerParts {
  readonly door: Door;
  readonly accept: Accept;
  readonly log: Log;
}

const noCertificate = (): null => null;

/** MQTT over TCP. */
export function tcpListener({ door, accept }: ListenerParts): Server {
  return createTcpServer((socket) => {
    const visit = door.enter(socket, socket.remoteAddress);
    if (visit) accept(socket, visit, noCertificate);
  });
}

/**
 * MQTT over TLS 1.2 and later. A connection counts from its first byte, its handshake included. A client certificate
 * that none of our authorities signed is as good as none, and without one the connection ends when one is required.
 * Throws `RejectedError` when a file is missing, cannot be read, or is no certificate.
 */
export function tlsListener(tls: TlsOptions, { door, accept, log }: ListenerParts): Server {
  const hasAuthorities = tls.clientCa !== '';
  const pem = {
    cert: readPem('mqtt.tls.cert', tls.cert),
    key: readPem('mqtt.tls.key', tls.key),
    ...(hasAuthorities && { ca: readPem('mqtt.tls.clientCa', tls.clientCa) }),
  };
  let server: TlsServer;
  try {
    server = createTlsServer({
      ...pem,
      requestCert: hasAuthorities,
      rejectUnauthorized: hasAuthorities && tls.requireCertificate,
      minVersion: 'TLSv1.2',
    });
  } catch (error) {
    const detail = `mqtt.tls: its files are no certificate and the key to it, in PEM (${messageOf(error)})`;
    throw new RejectedError('validation_failed', detail, { cause: error });
  }
  const visits = new Map<string, Visit>();
  server.on('connection', (socket: Socket) => {
    const visit = door.enter(socket, socket.remoteAddress);
    if (!visit) return;
    const end = endOf(socket);
    visits.set(end, visit);
    socket.once('close', () => {
      if (visits.get(end) === visit) visits.delete(end);
    });
  });
  server.on('secureConnection', (socket: TLSSocket) => {
    const visit = visits.get(endOf(socket));
    if (visit) accept(socket, visit, () => certificateOf(socket));
    else socket.destroy();
  });
  server.on('tlsClientError', (error, socket) => {
    log.debug({ remote: socket.remoteAddress, error: messageOf(error) }, 'a TLS handshake failed');
    socket.destroy();
  });
  return server;
}

/** Begins to listen. Rejects with the error of the socket, EADDRINUSE for example. */
export async function listen(server: Server, port: number, host: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** The port that is listened on; undefined while nothing is. */
export function portOf(server: Server | undefined): number | undefined {
  const address = server?.address() as AddressInfo | null | undefined;
  return address?.port;
}

function readPem(option: string, path: string): Buffer {
  if (path === '') {
    throw new RejectedError('validation_failed', `${option} is missing: a certificate and its key come together`);
  }
  try {
    return readFileSync(path);
  } catch (error) {
    throw new RejectedError('validation_failed', `${option}: ${messageOf(error)}`, { cause: error });
  }
}

/** The TLS server does not say over which socket a handshake went; both ends' address and port do. */
function endOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

/** What a certificate that one of our authorities signed says of its device; null without one. */
function certificateOf(socket: TLSSocket): DeviceCertificate | null {
  if (!socket.authorized) return null;
  const { subject, subjectaltname } = socket.getPeerCertificate();
  if (!subject) return null;
  // Several common names would leave open which device it is.
  const commonName: unknown = subject.CN;
  return {
    commonName: typeof commonName === 'string' ? commonName : null,
    names: alternativeNames(subjectaltname ?? ''),
  };
}

/**
 * DNS names and URIs out of Node's one line (`DNS:a, URI:urn:b, IP Address:…`). A value that holds a comma or a quote is
 * written there as a JSON string.
 */
export function alternativeNames(line: string): readonly string[] {
  const names: string[] = [];
  for (const [, kind, value] of line.matchAll(/(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)/g)) {
    if (kind !== 'DNS' && kind !== 'URI') continue;
    const text: unknown = value.startsWith('"') ? JSON.parse(value) : value;
    if (typeof text === 'string') names.push(text);
  }
  return names;
}

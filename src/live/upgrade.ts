import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { errorCodes } from '../contract/error-codes.ts';
import { liveSubprotocol } from '../contract/live.ts';
import type { LiveLimits } from './limits.ts';

export type UpgradeRefusal = 'overloaded' | 'stopping' | 'bad_request';

/**
 * The WebSocket side of the upgrade. The limits of ws are lowered to what a client of this protocol can need; its
 * compression stays off, because it costs several times the sending and holds memory for each client.
 */
export function createUpgrader(limits: LiveLimits): WebSocketServer {
  return new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    autoPong: false,
    maxPayload: limits.messageBytesMax,
    maxFragments: 64,
    maxBufferedChunks: 256,
    handleProtocols: (offered) => (offered.has(liveSubprotocol) ? liveSubprotocol : false),
  });
}

/** Whether the subprotocols that the client offers, if any, have ours among them (RFC 6455, section 4.2.2). */
export function offersSubprotocol(request: IncomingMessage): boolean {
  const offered = request.headers['sec-websocket-protocol'];
  return offered === undefined || offered.split(',').some((protocol) => protocol.trim() === liveSubprotocol);
}

/** Answers an upgrade with an HTTP error as problem+json (RFC 9457) and ends the connection. */
export function refuseUpgrade(socket: Duplex, code: UpgradeRefusal, detail: string): void {
  const { status, title } = errorCodes[code];
  const body = JSON.stringify({ type: 'about:blank', status, title, code, detail });
  const head = [
    `HTTP/1.1 ${status} ${status === 503 ? 'Service Unavailable' : 'Bad Request'}`,
    'Connection: close',
    'Content-Type: application/problem+json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...(status === 503 ? ['Retry-After: 5'] : []),
  ];
  // The client may be gone already; there is nobody to tell then.
  socket.on('error', () => socket.destroy());
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

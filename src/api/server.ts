import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { rawProblem, type Upgraded } from './admission.ts';
import type { Api } from './app.ts';
import { RequestRefused } from './problem.ts';

export interface HttpServerParts {
  readonly api: Api;
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly clock: Clock;
  readonly log: Log;
  /** PEM texts; with them HTTPS and WSS are spoken. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
  /** The addresses below the base path at which WebSockets are spoken, and who speaks there. */
  readonly upgrades: ReadonlyMap<string, Upgrade>;
}

export interface Upgrade {
  /** Judged by Host and Origin alone, for the credentials come later in a protocol of its own. */
  readonly isPublic: boolean;
  /** Takes over a connection, after access has been judged. */
  take(request: IncomingMessage, socket: Duplex, head: Buffer, upgraded: Upgraded): void;
}

/** Bounds on what a stranger may hold open, milliseconds and bytes. */
const headersTimeoutMs = 15_000;
const requestTimeoutMs = 60_000;
const keepAliveTimeoutMs = 65_000;
const headerBytesMax = 16_384;

/** The HTTP listener: requests go to the API, upgrades to the live room, and what is neither is answered and closed. */
export class HttpServer {
  readonly #parts: HttpServerParts;
  readonly #server: Server;
  /** Requests in flight on each connection that is not upgraded. A browser opens some that it may never use. */
  readonly #inFlight = new Map<Duplex, number>();
  /** Connections that have not finished their TLS handshake, by the other end; the HTTP server knows nothing of them. */
  readonly #handshaking = new Map<string, Socket>();
  #stopped: Promise<void> | undefined;

  constructor(parts: HttpServerParts) {
    this.#parts = parts;
    const options = {
      headersTimeout: headersTimeoutMs,
      handshakeTimeout: headersTimeoutMs,
      requestTimeout: requestTimeoutMs,
      keepAliveTimeout: keepAliveTimeoutMs,
      maxHeaderSize: headerBytesMax,
      // Any other upgrade (h2c, for one) is an offer that may be ignored, RFC 9110 section 7.8.
      shouldUpgradeCallback: (request: IncomingMessage) => request.headers.upgrade?.toLowerCase() === 'websocket',
    };
    this.#server = parts.tls ? createTlsServer({ ...options, ...parts.tls }) : createServer(options);
    if (parts.tls) this.#server.on('connection', (socket: Socket) => this.#handshake(socket));
    this.#server.on(parts.tls ? 'secureConnection' : 'connection', (socket: Socket) => {
      this.#handshaking.delete(otherEnd(socket));
      this.#inFlight.set(socket, 0);
      socket.once('close', () => this.#inFlight.delete(socket));
    });
    this.#server.on('request', (request, response) => this.#handle(request, response));
    // The body reader says "continue", or refuses before the body is sent.
    this.#server.on('checkContinue', (request, response) => this.#handle(request, response));
    this.#server.on('checkExpectation', (request, response) => this.#handle(request, response));
    this.#server.on('upgrade', (request, socket, head) => void this.#upgrade(request, socket, head));
    this.#server.on('clientError', (error, socket) => refuseBroken(error, socket));
  }

  /** Resolves once it listens. Rejects with the system's error (EADDRINUSE, EACCES) when it cannot. */
  start(): Promise<AddressInfo> {
    const { host, port, log } = this.#parts;
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host, port }, () => {
        this.#server.off('error', reject);
        this.#server.on('error', (error) => log.error({ error: messageOf(error) }, 'HTTP listener failed'));
        resolve(this.address());
      });
    });
  }

  /** Where it listens. */
  address(): AddressInfo {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the HTTP listener is not started');
    return address;
  }

  /**
   * Takes no new connection, ends long polls, lets requests in flight finish and closes idle connections; after
   * `deadlineMs` closes the rest. May come before `start` or twice. Upgraded sockets belong to the live room.
   */
  stop(deadlineMs: number): Promise<void> {
    this.#stopped ??= this.#stop(deadlineMs);
    return this.#stopped;
  }

  async #stop(deadlineMs: number): Promise<void> {
    this.#parts.api.stop();
    if (!this.#server.listening) return;
    const timer = this.#parts.clock.after(deadlineMs, () => {
      this.#parts.log.warn({ deadlineMs }, 'HTTP requests did not finish in time; closed');
      this.#server.closeAllConnections();
    });
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      // Node closes those between two requests, but not those that have sent none yet.
      for (const [socket, requests] of this.#inFlight) if (requests === 0) socket.destroy();
      for (const socket of this.#handshaking.values()) socket.destroy();
    });
    timer.cancel();
  }

  #handshake(socket: Socket): void {
    const end = otherEnd(socket);
    this.#handshaking.set(end, socket);
    socket.once('close', () => this.#handshaking.delete(end));
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    this.#count(socket, 1);
    response.once('close', () => this.#count(socket, -1));
    this.#parts.api.handle(request, response);
  }

  #count(socket: Duplex, change: number): void {
    const requests = this.#inFlight.get(socket);
    if (requests !== undefined) this.#inFlight.set(socket, requests + change);
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    // A reset while it is judged, or while the refusal is on its way, is nobody's fault.
    const onError = (): void => void socket.destroy();
    socket.on('error', onError);
    const verdict = await this.#parts.api.judgeUpgrade(request, this.#parts.upgrades);
    if (!verdict.allowed) {
      socket.end(verdict.answer, () => socket.destroy());
      return;
    }
    if (socket.destroyed) return;
    this.#inFlight.delete(socket);
    socket.off('error', onError);
    this.#parts.upgrades.get(verdict.path)?.take(request, socket, head, verdict.upgraded);
  }
}

function otherEnd({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

/** What the parser could not read, or what took too long: told in the common form, then closed. */
function refuseBroken(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  socket.end(rawProblem(new RequestRefused('bad_request', brokenBecause(error.code)), 'unread'), () =>
    socket.destroy(),
  );
}

function brokenBecause(code: string | undefined): string {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return `the headers are larger than ${headerBytesMax} bytes`;
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return 'the request did not arrive in time';
    default:
      return 'this is not an HTTP/1.1 request';
  }
}

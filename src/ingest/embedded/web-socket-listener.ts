import type { IncomingMessage } from 'node:http';
import { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Accept } from './listeners.ts';
import type { Door } from './door.ts';

/** MQTT 3.1.1 and MQTT 3.1 (MQTT 3.1.1 section 6); a client has to offer one of them ([MQTT-6.0.0-3]). */
const subprotocols = ['mqtt', 'mqttv3.1'];
/** A fixed header: type and remaining length (section 2.2). */
const headerBytesMax = 5;
/** RFC 6455 section 7.4.1: a kind of data that cannot be taken. */
const unsupportedData = 1_003;

/** MQTT over WebSocket, on connections that an HTTP server has for an upgrade. */
export class WebSocketListener {
  readonly #upgrader: WebSocketServer;
  readonly #door: Door;
  readonly #accept: Accept;

  constructor(options: { readonly packetBytesMax: number }, parts: { readonly door: Door; readonly accept: Accept }) {
    this.#door = parts.door;
    this.#accept = parts.accept;
    this.#upgrader = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: options.packetBytesMax + headerBytesMax,
      maxFragments: 64,
      maxBufferedChunks: 256,
      handleProtocols: (offered) => subprotocols.find((name) => offered.has(name)) ?? false,
    });
    // ws answers what is no handshake by itself, and the connection is over.
    this.#upgrader.on('wsClientError', (_error, socket) => socket.destroy());
  }

  /** `remoteAddress` is that of the client, where a proxy stands in between. */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer, remoteAddress: string | undefined): void {
    const visit = this.#door.enter(socket, remoteAddress);
    if (!visit) return;
    socket.on('error', () => socket.destroy());
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
    if (!offered.some((name) => subprotocols.includes(name))) {
      socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    this.#upgrader.handleUpgrade(request, socket, head, (webSocket) => {
      this.#accept(new WebSocketBytes(webSocket, remoteAddress), visit, () => null);
    });
  }
}

/**
 * A WebSocket as the stream of bytes that MQTT is: packets may be cut over frames and several may share one
 * ([MQTT-6.0.0-2]), but a frame of text ends the connection ([MQTT-6.0.0-1]).
 */
class WebSocketBytes extends Duplex {
  readonly remoteAddress: string | undefined;
  readonly #webSocket: WebSocket;

  constructor(webSocket: WebSocket, remoteAddress: string | undefined) {
    super({ allowHalfOpen: false });
    this.#webSocket = webSocket;
    this.remoteAddress = remoteAddress;
    webSocket.binaryType = 'nodebuffer';
    webSocket.on('message', (data, isBinary) => this.#take(data, isBinary));
    webSocket.on('error', (error) => this.destroy(error));
    webSocket.on('close', () => {
      this.push(null);
      this.destroy();
    });
  }

  /** ws has done so. */
  setNoDelay(): void {}

  override _read(): void {
    this.#webSocket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#webSocket.send(chunk, { binary: true }, done);
  }

  override _writev(chunks: { chunk: Buffer; encoding: BufferEncoding }[], done: (error?: Error | null) => void): void {
    this.#webSocket.send(Buffer.concat(chunks.map(({ chunk }) => chunk)), { binary: true }, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#webSocket.close();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    // What was closed with a reason is left to tell it.
    if (this.#webSocket.readyState === this.#webSocket.OPEN) this.#webSocket.terminate();
    done(error);
  }

  #take(data: unknown, isBinary: boolean): void {
    if (!isBinary || !Buffer.isBuffer(data)) {
      this.#webSocket.close(unsupportedData, 'MQTT comes in binary frames');
      this.destroy();
      return;
    }
    if (!this.destroyed && !this.push(data)) this.#webSocket.pause();
  }
}

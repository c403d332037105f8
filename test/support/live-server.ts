import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Clock } from '../../src/base/clock.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { LiveHub } from '../../src/live/hub.ts';
import type { LiveLimits } from '../../src/live/limits.ts';
import type { LiveSource } from './live-source.ts';

/** A hub behind a real HTTP server on a free port. */
export class LiveServer {
  readonly source: LiveSource;
  readonly hub: LiveHub;
  readonly #http: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(source: LiveSource, hub: LiveHub) {
    this.source = source;
    this.hub = hub;
    this.#http = createServer((_request, response) => response.writeHead(404).end());
    this.#http.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    this.#http.on('upgrade', (request, socket, head) => this.hub.handleUpgrade(request, socket, head));
  }

  static async start(
    source: LiveSource,
    options: { limits?: Partial<LiveLimits>; clock?: Clock } = {},
  ): Promise<LiveServer> {
    const hub = new LiveHub({
      epoch: () => source.epoch,
      position: () => source.published,
      directory: source,
      latest: source,
      openAlerts: source.openAlerts,
      readLog: source.readLog,
      clock: options.clock ?? systemClock,
      log: silentLog,
      version: '0.0.0-test',
      limits: options.limits,
    });
    hub.start();
    const server = new LiveServer(source, hub);
    await new Promise<void>((resolve) => {
      server.#http.listen(0, '127.0.0.1', resolve);
    });
    return server;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}/api/v1/live`;
  }

  get port(): number {
    const address = this.#http.address() as AddressInfo;
    return address.port;
  }

  /** Publishes everything that is committed. */
  publishAll(): void {
    while (this.source.publishNext((batch) => this.hub.publish(batch)));
  }

  /** As a kill does: no close frames, the sockets just end. */
  async kill(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await this.stop();
  }

  async stop(): Promise<void> {
    await this.hub.stop();
    await new Promise((resolve) => this.#http.close(resolve));
  }
}

import { expect } from 'vitest';
import type { Alert } from '../../src/contract/alert.ts';
import type { AlertList } from '../../src/contract/alert-list.ts';
import type { Delivery, DeliveryList } from '../../src/contract/webhook.ts';
import { type Random, seededRandom } from '../../src/base/random.ts';
import { GatewayProcess } from './gateway-process.ts';
import { ask, send } from './http-client.ts';
import { KillInbox } from './kill-inbox.ts';
import { DeviceLoad, type LoadGround, PostingClient } from './kill-load.ts';
import { readAll, SentReadings } from './kill-model.ts';
import { Publisher } from './kill-publisher.ts';
import { Watcher } from './kill-watcher.ts';
import { expectBalanced, type Metrics, readMetrics, sample } from './ledger-check.ts';

const devices = ['pump-1', 'pump-2', 'pump-3', 'pump-4', 'fan-1', 'fan-2', 'fan-3', 'watch-1', 'watch-2', 'watch-3'];

const rules = [
  { name: 'level', metric: 'level', condition: { type: 'threshold', above: 50, clearBelow: 40 } },
  { name: 'pressure', metric: 'pressure', condition: { type: 'threshold', above: 100 }, for: '80ms' },
  { name: 'noise', metric: 'noise', device: 'pump-*,watch-*', condition: { type: 'threshold', above: 100 } },
];

const settings = [
  'webhooks.allowTargets=127.0.0.0/8',
  'webhooks.timeout=1s',
  'storage.sealAfter=1s',
  'live.heartbeat=1s',
  'log.level=warn',
];

/** A whole gateway as a process, everybody around it, and what everybody knows; it is killed and started again. */
export class KillRun {
  readonly random: Random;
  readonly sent = new SentReadings();
  readonly watchers = [
    new Watcher({}),
    new Watcher({ device: 'pump-*', metric: 'level,pressure,noise', shape: 'columns' }),
    new Watcher({ device: 'watch-?,fan-2', metric: '*e*' }),
  ];
  readonly alertWatcher = new Watcher({ topic: 'alerts' });
  readonly inboxes: { readonly inbox: KillInbox; webhookId: string }[] = [];
  readonly publishers: readonly Publisher[];
  /** What was done, for whoever has to find out why it went wrong. */
  readonly notes: string[] = [];
  /** Messages that the gateway recognised when they came again. */
  redelivered = 0;
  readonly #dir: string;
  readonly #poster: PostingClient;
  #posting: Promise<void> = Promise.resolve();
  #gateway: GatewayProcess | null = null;
  #ports = { httpPort: 0, mqttPort: 0 };
  #quota = 0;
  #serial = 0;
  #acknowledged = 0;
  #wanted: { readonly count: number; readonly resolve: () => void } | null = null;

  constructor(dir: string, seed: number) {
    this.#dir = dir;
    this.random = seededRandom(seed);
    const ground: LoadGround = {
      random: this.random,
      sent: this.sent,
      serial: () => ++this.#serial,
      onAcknowledged: () => this.#onAcknowledged(),
    };
    this.publishers = devices.map((device, index) => {
      const load = new DeviceLoad(device, ground);
      return new Publisher({
        clientId: device,
        clean: index % 2 === 0,
        inFlightMax: 4 + 4 * index,
        next: () => (this.#takeQuota() ? load.next() : null),
      });
    });
    this.#poster = new PostingClient('poster', ground);
  }

  note(text: string): void {
    const waiting = this.publishers.map((each) => `${each.outstanding}${each.isConnected ? '' : ' (away)'}`).join(' ');
    this.notes.push(
      `${text}: ${this.sent.size} readings sent, ${this.#acknowledged} acknowledgements, open: ${waiting}`,
    );
  }

  get httpPort(): number {
    return this.#ports.httpPort;
  }

  get devices(): readonly string[] {
    return devices;
  }

  async start(further: readonly string[] = []): Promise<void> {
    this.note('start');
    const args = this.#args(further);
    this.#gateway = await GatewayProcess.start({ dir: this.#dir, ...this.#ports, args });
    const { httpPort, mqttPort } = this.#gateway;
    this.#ports = { httpPort, mqttPort };
    expect((await ask(httpPort, '/readyz')).status).toBe(200);
  }

  /** A start that is killed after `delayMs`, be it ready by then or not. */
  async startAndKill(delayMs: number): Promise<void> {
    this.note('start that is cut short');
    await GatewayProcess.cutShort({ dir: this.#dir, ...this.#ports, args: this.#args([]) }, delayMs);
  }

  /** Rules, webhooks and live clients, before anything is sent. */
  async furnish(): Promise<void> {
    for (const rule of rules) expect((await send(this.httpPort, 'POST', '/api/v1/rules', rule)).status).toBe(201);
    for (const [events, troubleShare] of [
      [['alert.*'], 0.04],
      [['alert.firing'], 0],
    ] as const) {
      const inbox = await KillInbox.open(this.random, troubleShare);
      const created = await send(this.httpPort, 'POST', '/api/v1/webhooks', { url: inbox.url, events });
      expect(created.status, created.text).toBe(201);
      const { id, secret }: { id: string; secret: string } = JSON.parse(created.text);
      inbox.secret = secret;
      this.inboxes.push({ inbox, webhookId: id });
    }
  }

  /** Live clients go on from their cursors, devices send again what is unsettled; nothing new is sent. */
  async reconnect(): Promise<void> {
    this.note('reconnect');
    await Promise.all([...this.watchers, this.alertWatcher].map((watcher) => watcher.connect(this.httpPort)));
    await Promise.all(this.publishers.map((publisher) => publisher.connect(this.#ports.mqttPort)));
    this.#post();
  }

  /** Waits until everything that was sent is settled, then weighs the ledger. */
  async quiet(): Promise<Metrics> {
    this.note('quiet');
    await this.#whileItRuns(Promise.all(this.publishers.map((publisher) => publisher.settled())));
    await this.#posting;
    expect(this.#poster.isSettled).toBe(true);
    // Messages of QoS 0 are acknowledged by nobody.
    const metrics = await this.metricsOnce((now) => sample(now, 'pulsegate_window_messages') === 0);
    expectBalanced(metrics);
    this.redelivered += sample(metrics, 'pulsegate_messages_total{outcome="redelivered"}');
    return metrics;
  }

  /** Lets the devices send `count` messages more, as fast as they are acknowledged. */
  send(count: number): void {
    this.#quota += count;
    for (const publisher of this.publishers) publisher.pump();
    this.#post();
  }

  /** Resolves at the `count`th acknowledgement from now. */
  acknowledged(count: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wanted = { count: this.#acknowledged + count, resolve };
    return this.#whileItRuns(promise);
  }

  /** kill -9; resolves when everybody has noticed. */
  async kill(): Promise<void> {
    this.note('kill');
    const { signal, stderr } = (await this.#gateway?.kill()) ?? {};
    expect(signal, stderr).toBe('SIGKILL');
    await this.#left();
  }

  async terminate(): Promise<void> {
    this.note('terminate');
    const { code, stderr } = (await this.#gateway?.terminate()) ?? {};
    expect(code, stderr).toBe(0);
    await this.#left();
  }

  async close(): Promise<void> {
    await this.#gateway?.kill();
    for (const watcher of [...this.watchers, this.alertWatcher]) watcher.disconnect();
    for (const publisher of this.publishers) publisher.disconnect();
    for (const { inbox } of this.inboxes) await inbox.close();
  }

  /** Asks for `/metrics` until they hold. */
  async metricsOnce(holds: (metrics: Metrics) => boolean): Promise<Metrics> {
    for (;;) {
      const metrics = await readMetrics(this.httpPort);
      if (holds(metrics)) return metrics;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }

  /** Everything acknowledged is on disk, as it should be. */
  async expectKept(): Promise<void> {
    this.note('expect everything kept');
    this.sent.expectKept(await readAll(this.httpPort));
  }

  alerts(): Promise<Alert[]> {
    return this.#list<AlertList['items'][number], AlertList>('/api/v1/alerts');
  }

  deliveries(webhookId: string): Promise<Delivery[]> {
    return this.#list<Delivery, DeliveryList>(`/api/v1/webhooks/${webhookId}/deliveries`);
  }

  async #list<Item, List extends { readonly items: readonly Item[]; readonly next: string | null }>(
    path: string,
  ): Promise<Item[]> {
    const items: Item[] = [];
    let page: string | null = '';
    while (page !== null) {
      const answer = await ask(this.httpPort, `${path}?limit=1000${page && `&page=${page}`}`);
      expect(answer.status, answer.text).toBe(200);
      const list: List = JSON.parse(answer.text);
      items.push(...list.items);
      page = list.next;
    }
    return items;
  }

  #args(further: readonly string[]): string[] {
    return [...settings, ...further].flatMap((setting) => ['--set', setting]);
  }

  /** Nothing is waited for that a gateway would have to do which is no more. */
  async #whileItRuns<T>(work: Promise<T>): Promise<T> {
    return await Promise.race([work, this.#gateway?.crashed ?? work]);
  }

  #takeQuota(): boolean {
    if (this.#quota <= 0) return false;
    this.#quota--;
    return true;
  }

  #post(): void {
    this.#posting = this.#posting.then(() => this.#poster.run(this.httpPort, () => this.#takeQuota()));
  }

  #onAcknowledged(): void {
    this.#acknowledged++;
    if (this.#wanted && this.#acknowledged >= this.#wanted.count) this.#wanted.resolve();
  }

  async #left(): Promise<void> {
    this.#quota = 0;
    await Promise.all([...this.watchers, this.alertWatcher].map((watcher) => watcher.ended()));
    for (const publisher of this.publishers) publisher.disconnect();
    await this.#posting;
    for (const { fault } of [...this.watchers, this.alertWatcher]) if (fault !== null) throw fault;
  }
}

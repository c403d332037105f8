import type { Duplex } from 'node:stream';
import { RejectedError } from '../../src/base/errors.ts';
import type { Fault } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import { seededRandom } from '../../src/base/random.ts';
import { ruleFaults } from '../../src/catalog/rule-faults.ts';
import { KeyDesk } from '../../src/access/key-desk.ts';
import { livePath } from '../../src/api/admission.ts';
import type { DeviceMessage } from '../../src/decode/decoded.ts';
import { decodeInfluxBatch } from '../../src/decode/influx.ts';
import { createApi, type Api } from '../../src/api/app.ts';
import type {
  ApiPorts,
  PostOutcome,
  Catalog,
  CurrentValue,
  StreamQuery,
  StreamResult,
  Verdict,
} from '../../src/api/ports.ts';
import { HttpServer } from '../../src/api/server.ts';
import type { Alert, Transition } from '../../src/domain/alert.ts';
import type { Command } from '../../src/domain/command.ts';
import type { Attempt, DeliveryRecord } from '../../src/domain/delivery.ts';
import type { Deletion } from '../../src/domain/deletion.ts';
import type { DeviceRecord } from '../../src/domain/device.ts';
import { formatCursor, parseCursor } from '../../src/domain/cursor.ts';
import { compileGlob } from '../../src/domain/glob.ts';
import type { KeyRecord } from '../../src/domain/key.ts';
import type { QuarantineRecord } from '../../src/domain/quarantine.ts';
import type { Reading, Value } from '../../src/domain/reading.ts';
import type { RetentionRule } from '../../src/domain/retention.ts';
import type { Rule } from '../../src/domain/rule.ts';
import type { Series } from '../../src/domain/series.ts';
import type { Webhook } from '../../src/domain/webhook.ts';
import { mergeAcross, reduce } from '../../src/history/buckets/across.ts';
import type { HistoryReader, Sample } from '../../src/history/reader.ts';
import { LastingCallers } from '../../src/wiring/lasting-callers.ts';
import { createIdentity } from './api-identity.ts';
import { CommandBook } from '../../src/commands/command-book.ts';
import { FakeClock } from './fake-clock.ts';
import { memoryHistory } from './memory-history.ts';

/** The rest of the gateway as the API sees it, small and in memory. */
export class Strangers {
  readonly clock = new FakeClock();
  readonly random = seededRandom(1);
  readonly devices = new Map<string, DeviceRecord>();
  readonly series = new Map<string, { id: number; device: string; metric: string; samples: Sample[] }>();
  readonly alerts: Alert[] = [];
  readonly transitions: Transition[] = [];
  readonly deliveries: DeliveryRecord[] = [];
  readonly attempts: Attempt[] = [];
  readonly quarantine: QuarantineRecord[] = [];
  readonly commands: Command[] = [];
  /** Devices that take commands. */
  readonly connected = new Set<string>();
  /** A real book of commands, over `commands` as its disk. */
  readonly commandBook: CommandBook = new CommandBook({
    commit: (commands) => this.#keepCommands(commands),
    publish: ({ device }) => Promise.resolve(this.connected.has(device) ? 'device' : 'nobody'),
    now: () => this.clock.now(),
    clock: this.clock,
    newId: () => `cmd_${this.commands.length + 1}`,
    log: silentLog,
  });
  /** Codes with which messages of the quarantine are still refused, by id. */
  readonly stillRefused = new Map<number, string>();
  readonly catalog = new MemoryCatalog(this.clock);
  readonly requests: { route: string; status: number }[] = [];
  readonly logged: object[] = [];
  readonly polls: StreamQuery[] = [];
  /** Commits as the stream tells them. */
  readonly commits: Reading[][] = [];
  readonly retention: RetentionRule[] = [];
  ready = true;
  verdict: Verdict = { allowed: true, caller: { kind: 'open' } };
  /** Records of keys; real ones, made and judged by access. */
  readonly keys: KeyRecord[] = [];
  /** Thrown by every port that does something, where set. */
  failure: unknown = null;
  readonly #waiting = new Set<() => void>();
  /** By number, less one; a series keeps its number when its readings are cleared. */
  readonly #names: Series[] = [];

  get seq(): number {
    return this.commits.length;
  }

  /** Stores a reading in a commit of its own. */
  put(device: string, metric: string, time: number, value: Value): void {
    const name = `${device}/${metric}`;
    const series = this.series.get(name) ?? { id: this.#numberOf(device, metric), device, metric, samples: [] };
    this.series.set(name, series);
    series.samples = series.samples.filter((sample) => sample.time !== time);
    series.samples.push({ time, value });
    series.samples.sort((a, b) => a.time - b.time);
    const at = this.clock.now();
    this.devices.set(device, {
      device,
      firstSeen: at,
      status: null,
      statusAt: null,
      statusCause: null,
      provisioned: null,
      attributes: {},
      clockCorrected: 0,
      ...this.devices.get(device),
      lastSeen: at,
    });
    this.commits.push([{ device, metric, time, value }]);
    for (const wake of this.#waiting) wake();
  }

  #numberOf(device: string, metric: string): number {
    const known = this.#names.find((name) => name.device === device && name.metric === metric);
    return known?.id ?? this.#names.push({ id: this.#names.length + 1, device, metric });
  }

  ports(changes: Partial<ApiPorts> = {}): ApiPorts {
    const names = this.#names;
    const checked = <T>(answer: () => T): T => {
      if (this.failure !== null) throw this.failure;
      return answer();
    };
    return {
      version: '0.0.0-test',
      basePath: '',
      corsOrigins: [],
      clock: this.clock,
      random: this.random,
      log: { ...silentLog, warn: (fields) => this.logged.push(fields), error: (fields) => this.logged.push(fields) },
      limits: { bodyBytesMax: 64 * 1024, waitMaxMs: 60_000, downloadsMax: 2 },
      access: { judge: () => this.verdict },
      lasting: new LastingCallers(),
      proxies: { trustProxy: false, trustedProxies: [] },
      keys: this.#checkedKeys(checked),
      intake: {
        post: (bytes, format, { partial }) => Promise.resolve(checked(() => this.#post(bytes, format, partial))),
        postBatch: (devices, { partial, faults }) =>
          Promise.resolve(checked(() => this.#batch(devices, faults, partial))),
      },
      decodeLines: (body, options) => decodeInfluxBatch(body, { ...options, device: null }),
      latest: {
        find: (device, metric) =>
          checked(() => [...this.#latest()].find((v) => v.device === device && v.metric === metric)),
        device: (device) => checked(() => [...this.#latest()].filter((value) => value.device === device)),
      },
      names: {
        get size() {
          return names.length;
        },
        series: (id) => names[id - 1],
      },
      devices: {
        after: (device) =>
          checked(() =>
            [...this.devices.values()]
              .filter((record) => device === null || record.device > device)
              .sort((a, b) => (a.device < b.device ? -1 : 1)),
          ),
        get: (device) => checked(() => this.devices.get(device)),
      },
      reader: this.#reader(checked),
      across: { merge: mergeAcross, reduce },
      ...this.#checkedIdentity(checked),
      commands: {
        create: async (draft) => checked(() => this.commandBook.create(draft)),
        find: (id) => checked(() => this.commandBook.find(id)),
        waitAtMost: (id, waitMs, signal) => this.commandBook.waitAtMost(id, waitMs, signal),
        cancel: async (id) => checked(() => this.commandBook.cancel(id)),
        cancelled: (device) => checked(() => this.commandBook.cancelled(device)),
      },
      retention: {
        rules: () => checked(() => this.retention),
        defaults: { raw: null, minute: null, hour: null },
        put: async (rules) => checked(() => void this.retention.splice(0, Number.POSITIVE_INFINITY, ...rules)),
        keptFrom: () => Number.NEGATIVE_INFINITY,
        of: () => checked(() => ({ policy: { raw: null, minute: null, hour: null }, rule: null })),
      },
      erasure: {
        estimate: async (ranges) =>
          checked(() => ({
            readings: ranges.flatMap(({ series, from, to }) => this.#samples(series, from, to)).length,
          })),
        erase: async (changes) => checked(() => this.#erase(changes.deletions)),
      },
      storage: async () =>
        checked(() => {
          throw new Error('there is no store here');
        }),
      backup: {
        nameNow: () => 'pulsegate.tar',
        async *write() {
          yield await Promise.resolve(checked(() => Buffer.from('a backup')));
        },
      },
      quarantine: {
        retry: async (record) => checked(() => this.#retry(record)),
        remove: async (ids) => checked(() => this.#removeQuarantined(ids)),
      },
      stream: { poll: (query) => checked(() => this.#poll(query)) },
      catalog: {
        snapshot: () => checked(() => this.catalog.snapshot()),
        createRule: (draft) => checked(() => this.catalog.createRule(draft)),
        updateRule: (id, patch) => checked(() => this.catalog.updateRule(id, patch)),
        deleteRule: (id) => checked(() => this.catalog.deleteRule(id)),
        createWebhook: (draft) => checked(() => this.catalog.createWebhook(draft)),
        updateWebhook: (id, patch) => checked(() => this.catalog.updateWebhook(id, patch)),
        deleteWebhook: (id) => checked(() => this.catalog.deleteWebhook(id)),
      },
      ruleFaults,
      checkTarget(url) {
        if (url.includes('10.0.0.1')) throw new RejectedError('target_not_allowed', 'see webhooks.allowTargets');
      },
      cursor: () => formatCursor('epoch', this.seq),
      broker: () =>
        checked(() => ({ mode: 'embedded', url: 'mqtt://127.0.0.1:1883', tlsUrl: null, webSocketPath: '/mqtt' })),
      ready: () => ({ ready: this.ready, reasons: this.ready ? [] : ['the database is full'] }),
      metrics: {
        render: () => Promise.resolve(checked(() => '# HELP up Up\nup 1\n')),
        observeRequest: (request) => void this.requests.push(request),
      },
      assets: {
        find: (path) =>
          path === '/'
            ? {
                bytes: Buffer.from('<!doctype html>'),
                contentType: 'text/html; charset=utf-8',
                etag: '"page"',
                immutable: false,
              }
            : undefined,
      },
      ...changes,
    };
  }

  async #keepCommands(changed: readonly Command[]): Promise<void> {
    await Promise.resolve();
    for (const command of changed) {
      const at = this.commands.findIndex(({ id }) => id === command.id);
      if (at === -1) this.commands.push(command);
      else if (this.commands[at].settledAt === null) this.commands[at] = command;
    }
    this.commandBook.apply(changed);
  }

  #retry(record: QuarantineRecord): PostOutcome {
    const code = this.stillRefused.get(record.id);
    if (code !== undefined) throw new RejectedError(code, `still ${code}`, { pointer: '/now' });
    this.#removeQuarantined([record.id]);
    return { seq: this.seq, stored: 1, replaced: 0, identical: 0, refused: [] };
  }

  #removeQuarantined(ids: readonly number[]): void {
    const kept = this.quarantine.filter(({ id }) => !ids.includes(id));
    this.quarantine.splice(0, this.quarantine.length, ...kept);
  }

  /** The desk of access over `keys`. */
  keyDesk(hasAdminKey = false): KeyDesk {
    const { keys } = this;
    const at = (id: string): number => keys.findIndex((key) => key.id === id);
    return new KeyDesk({
      store: {
        keys: () => keys,
        addKey: (record) => Promise.resolve(void keys.push(record)),
        updateKey: (id, patch) => Promise.resolve(void keys.splice(at(id), 1, { ...keys[at(id)], ...patch })),
        removeKey: (id) => Promise.resolve(void keys.splice(at(id), 1)),
      },
      hasAdminKey,
      random: this.random,
      clock: this.clock,
    });
  }

  #checkedKeys(checked: <T>(answer: () => T) => T): ApiPorts['keys'] {
    const desk = this.keyDesk();
    return {
      list: () => checked(() => desk.list()),
      create: (draft) => checked(() => desk.create(draft)),
      update: (id, patch) => checked(() => desk.update(id, patch)),
      remove: (id, options) => checked(() => desk.remove(id, options)),
    };
  }

  #checkedIdentity(checked: <T>(answer: () => T) => T): ReturnType<typeof createIdentity>['ports'] {
    const { decisions, identity, tokens, provisioning, units, tryMapping } = createIdentity(this).ports;
    return {
      decisions: checkedPort(decisions, checked),
      identity: checkedPort(identity, checked),
      tokens: checkedPort(tokens, checked),
      provisioning: checkedPort(provisioning, checked),
      units: checkedPort(units, checked),
      tryMapping: (...wish) => checked(() => tryMapping(...wish)),
    };
  }

  *#latest(): Generator<CurrentValue> {
    for (const { id, device, metric, samples } of this.series.values()) {
      const last = samples.at(-1);
      if (last) yield { series: id, device, metric, ...last };
    }
  }

  #samples(id: number, from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY): readonly Sample[] {
    const series = [...this.series.values()].find((series) => series.id === id);
    return series?.samples.filter(({ time }) => time >= from && time < to) ?? [];
  }

  /** A commit of its own. */
  #erase(deletions: readonly Deletion[]) {
    const before = [...this.series.values()].reduce((sum, { samples }) => sum + samples.length, 0);
    for (const series of this.series.values()) {
      const ranges = deletions.filter((deletion) => deletion.series === series.id);
      series.samples = series.samples.filter(({ time }) => !ranges.some(({ from, to }) => time >= from && time < to));
    }
    const after = [...this.series.values()].reduce((sum, { samples }) => sum + samples.length, 0);
    this.commits.push([]);
    return { seq: this.seq, deleted: { readings: before - after, newest: [] } };
  }

  #post(bytes: Uint8Array, format: string, partial: boolean) {
    const rows = parseRows(Buffer.from(bytes).toString(), format);
    const faults: Fault[] = rows.flatMap((row, index) =>
      typeof row.value === 'number'
        ? []
        : { pointer: `/${index}/value`, code: 'value_invalid', detail: 'not a number' },
    );
    if (faults.length > 0 && !partial) throw new RejectedError('value_invalid', 'a value is wrong', { errors: faults });
    const good = rows.filter((row) => typeof row.value === 'number');
    for (const { device, metric, time, value } of good) this.put(device, metric, time, value);
    return { seq: this.seq, stored: good.length, replaced: 0, identical: 0, refused: faults };
  }

  #batch(devices: readonly DeviceMessage[], faults: readonly Fault[], partial: boolean) {
    if (faults.length > 0 && !partial) {
      throw new RejectedError('validation_failed', `nothing was stored: ${faults[0].detail}`, { errors: faults });
    }
    let stored = 0;
    for (const { device, readings } of devices) {
      for (const { metric, time, value } of readings) {
        this.put(device, metric, time ?? this.clock.now(), value);
        stored++;
      }
    }
    return { seq: this.seq, stored, replaced: 0, identical: 0, refused: faults };
  }

  async #poll(query: StreamQuery): Promise<StreamResult> {
    this.polls.push(query);
    const after = query.since === undefined ? this.seq : parseCursor(query.since).seq;
    if (after >= this.seq && query.waitMs > 0 && !query.signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#waiting.add(resolve);
        query.signal.addEventListener('abort', () => resolve());
      });
    }
    const [device, metric] = [compileGlob(query.device), compileGlob(query.metric)];
    const readings = this.commits.slice(after, after + query.limit).flat();
    return {
      cursor: formatCursor('epoch', after + readings.length),
      readings: readings
        .filter((reading) => device(reading.device) && metric(reading.metric))
        .map((reading) => ({ ...reading, time: new Date(reading.time).toISOString() })),
      gap: null,
    };
  }

  #reader(checked: <T>(answer: () => T) => T): HistoryReader {
    const answer = <T>(make: () => T): Promise<T> => Promise.resolve(checked(make));
    return {
      ...memoryHistory((series) => this.#samples(series), answer),
      log: () => answer(() => ({ batches: [], last: this.seq, firstKept: 1 })),
      alerts: ({ limit, state, ruleId, device, after }) =>
        answer(() =>
          this.alerts
            .filter((alert) => state === undefined || alert.state === state)
            .filter((alert) => ruleId === undefined || alert.rule.id === ruleId)
            .filter((alert) => device === undefined || alert.device === device)
            .sort((a, b) => b.firedAt - a.firedAt || (a.id < b.id ? 1 : -1))
            .filter((a) => !after || a.firedAt < after.firedAt || (a.firedAt === after.firedAt && a.id < after.id))
            .slice(0, limit),
        ),
      alert: (id) => answer(() => this.alerts.find((alert) => alert.id === id) ?? null),
      transitions: (id) => answer(() => this.transitions.filter((transition) => transition.alert.id === id)),
      deliveries: ({ limit, webhookId, state, after }) =>
        answer(() =>
          this.deliveries
            .filter((record) => webhookId === undefined || record.webhookId === webhookId)
            .filter((record) => state === undefined || record.state === state)
            .sort((a, b) => b.seq - a.seq || (a.id < b.id ? 1 : -1))
            .filter((r) => !after || r.seq < after.seq || (r.seq === after.seq && r.id < after.id))
            .slice(0, limit),
        ),
      delivery: (id) => answer(() => this.deliveries.find((record) => record.id === id) ?? null),
      attempts: (id) => answer(() => this.attempts.filter((attempt) => attempt.deliveryId === id)),
      quarantine: ({ limit, before }) =>
        answer(() =>
          this.quarantine
            .filter(({ id }) => before === undefined || id < before)
            .sort((a, b) => b.id - a.id)
            .slice(0, limit),
        ),
      quarantined: (wanted) => answer(() => this.quarantine.find(({ id }) => id === wanted) ?? null),
      commands: ({ device, limit, after }) =>
        answer(() =>
          this.commands
            .filter((command) => device === undefined || command.device === device)
            .sort((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? 1 : -1))
            .filter(
              ({ createdAt, id }) =>
                !after || createdAt < after.createdAt || (createdAt === after.createdAt && id < after.id),
            )
            .slice(0, limit),
        ),
      command: (id) => answer(() => this.commands.find((command) => command.id === id) ?? null),
      stats: () => Promise.reject(new Error('not asked by the API')),
    };
  }
}

/** The port with `checked` around each of its methods. */
function checkedPort<T extends object>(port: T, checked: <A>(answer: () => A) => A): T {
  return new Proxy(port, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name);
      if (typeof method !== 'function') return method;
      return (...wish: unknown[]): unknown => checked(() => Reflect.apply(method, target, wish));
    },
  });
}

class MemoryCatalog implements Catalog {
  readonly #clock: FakeClock;
  #rules: Rule[] = [];
  #webhooks: Webhook[] = [];
  #made = 0;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  snapshot(): { readonly rules: readonly Rule[]; readonly webhooks: readonly Webhook[] } {
    return { rules: this.#rules, webhooks: this.#webhooks };
  }

  createRule(draft: Parameters<Catalog['createRule']>[0]): Promise<Rule> {
    const rule = { ...draft, ...this.#stamp('rule') };
    this.#rules.push(rule);
    return Promise.resolve(rule);
  }

  updateRule(id: string, patch: Parameters<Catalog['updateRule']>[1]): Promise<Rule> {
    this.#rules = this.#rules.map((rule) => (rule.id === id ? { ...rule, ...patch } : rule));
    return found(this.#rules.find((rule) => rule.id === id));
  }

  deleteRule(id: string): Promise<void> {
    this.#rules = this.#rules.filter((rule) => rule.id !== id);
    return Promise.resolve();
  }

  createWebhook(draft: Parameters<Catalog['createWebhook']>[0]): Promise<{ webhook: Webhook; secret: string }> {
    const webhook = { ...draft, ...this.#stamp('wh') };
    this.#webhooks.push(webhook);
    return Promise.resolve({ webhook, secret: 'whsec_c2VjcmV0' });
  }

  updateWebhook(id: string, patch: Parameters<Catalog['updateWebhook']>[1]): Promise<Webhook> {
    this.#webhooks = this.#webhooks.map((webhook) => (webhook.id === id ? { ...webhook, ...patch } : webhook));
    return found(this.#webhooks.find((webhook) => webhook.id === id));
  }

  deleteWebhook(id: string): Promise<void> {
    this.#webhooks = this.#webhooks.filter((webhook) => webhook.id !== id);
    return Promise.resolve();
  }

  #stamp(prefix: string): { id: string; createdAt: string; updatedAt: string } {
    const at = new Date(this.#clock.now()).toISOString();
    return { id: `${prefix}_${String(++this.#made).padStart(4, '0')}`, createdAt: at, updatedAt: at };
  }
}

function parseRows(text: string, format: string): Reading[] {
  try {
    return format === 'json'
      ? JSON.parse(text)
      : text
          .trim()
          .split('\n')
          .map((line): Reading => JSON.parse(line));
  } catch {
    throw new RejectedError('payload_not_json', 'the body is not JSON');
  }
}

function found<T>(value: T | undefined): Promise<T> {
  return value === undefined ? Promise.reject(new RejectedError('not_found', 'gone')) : Promise.resolve(value);
}

/** What takes over a connection and has nothing to say. */
export function switched(_request: unknown, socket: Duplex): void {
  socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n');
}

/** The API on a real listener, over strangers. */
export async function startApi(
  strangers: Strangers,
  changes: Partial<ApiPorts> = {},
): Promise<{ api: Api; server: HttpServer; port: number }> {
  const api = createApi(strangers.ports(changes));
  const server = new HttpServer({
    api,
    host: '127.0.0.1',
    port: 0,
    clock: strangers.clock,
    log: silentLog,
    tls: null,
    upgrades: new Map([[livePath, { isPublic: false, take: switched }]]),
  });
  const { port } = await server.start();
  return { api, server, port };
}

import type { Random } from '../../src/base/random.ts';
import type { Outgoing } from './kill-publisher.ts';
import type { SentReadings, Value, Write } from './kill-model.ts';
import { ask } from './http-client.ts';

/** What every sender of a run shares. */
export interface LoadGround {
  readonly random: Random;
  readonly sent: SentReadings;
  /** Every value that is not a repetition has a serial number of its own. */
  readonly serial: () => number;
  readonly onAcknowledged: () => void;
}

type Sample = Readonly<Record<string, Value>>;

/**
 * What one device sends: readings in order, late ones, the same again, corrections of earlier values, messages without a
 * time, arrays, text and booleans, and values that cross the thresholds of rules as fast as they can.
 */
export class DeviceLoad {
  readonly #device: string;
  readonly #ground: LoadGround;
  /** Time of the newest reading, epoch ms. Well in the past, so that no clock is ever corrected. */
  #time: number;
  /** Times of readings in order, and how many of the milliseconds after each are taken by late ones. */
  readonly #past: { readonly time: number; late: number }[] = [];
  #previous: (() => Outgoing) | null = null;
  #pressureLeft = 0;
  #isPressureHigh = false;

  constructor(device: string, ground: LoadGround) {
    this.#device = device;
    this.#ground = ground;
    this.#time = Date.now() - 6 * 3_600_000;
  }

  next(): Outgoing {
    const dice = this.#ground.random.next();
    if (dice < 0.35) return this.#timed([{ temperature: this.#serial(), humidity: this.#serial() }]);
    if (dice < 0.4) return this.#timed([this.#plain(), this.#plain(), this.#plain()]);
    if (dice < 0.5) return this.#late();
    if (dice < 0.57) return this.#previous?.() ?? this.next();
    if (dice < 0.65) return this.#correction();
    if (dice < 0.74) return this.#timeless('count', (serial) => String(serial), '/count');
    if (dice < 0.8) return this.#timeless('seen', (serial) => JSON.stringify({ seen: serial }), '');
    if (dice < 0.9) return this.#timed([{ level: 30 + Math.floor(this.#ground.random.next() * 31) }]);
    if (dice < 0.97) return this.#timed([{ pressure: this.#pressure() }]);
    return { ...this.#timeless('loose', (serial) => String(serial), '/loose'), qos: 0 };
  }

  #plain(): Sample {
    return { temperature: this.#serial(), mode: `m${this.#serial()}`, door: this.#ground.random.next() < 0.5 };
  }

  /** Stays on one side of the threshold for a while, longer or shorter than the rule's `for`. */
  #pressure(): number {
    if (this.#pressureLeft-- <= 0) {
      this.#isPressureHigh = !this.#isPressureHigh;
      this.#pressureLeft = Math.floor(this.#ground.random.next() * 4);
    }
    return (this.#isPressureHigh ? 101 : 90) + Math.floor(this.#ground.random.next() * 9);
  }

  #timed(samples: readonly Sample[]): Outgoing {
    const parts = samples.map((values) => {
      this.#time += 5 + Math.floor(this.#ground.random.next() * 60);
      this.#past.push({ time: this.#time, late: 0 });
      return { time: this.#time, values };
    });
    return this.#telemetry(parts);
  }

  #late(): Outgoing {
    const place = this.#earlier();
    if (!place || place.late >= 4) return this.next();
    const values: Sample =
      this.#ground.random.next() < 0.3 ? { noise: this.#pressure() } : { temperature: this.#serial() };
    return this.#telemetry([{ time: place.time + ++place.late, values }]);
  }

  #correction(): Outgoing {
    const place = this.#earlier();
    return place ? this.#telemetry([{ time: place.time, values: { temperature: this.#serial() } }]) : this.next();
  }

  #earlier(): { readonly time: number; late: number } | undefined {
    return this.#past[Math.floor(this.#ground.random.next() * this.#past.length)];
  }

  #telemetry(parts: readonly { readonly time: number; readonly values: Sample }[]): Outgoing {
    const isText = this.#ground.random.next() < 0.2;
    const samples = parts.map(({ time, values }) =>
      isText ? { time: new Date(time).toISOString(), ...values } : { ts: time, values },
    );
    const payload = JSON.stringify(samples.length === 1 ? samples[0] : samples);
    const message = (): Outgoing =>
      this.#outgoing(
        '',
        payload,
        parts.flatMap(({ time, values }) =>
          Object.entries(values).map(([metric, value]) => this.#ground.sent.add(this.#device, metric, time, value)),
        ),
      );
    this.#previous = message;
    return message();
  }

  #timeless(metric: string, payload: (serial: number) => string, suffix: string): Outgoing {
    const serial = this.#serial();
    const write = this.#ground.sent.add(this.#device, metric, null, serial);
    return this.#outgoing(suffix, payload(serial), [write]);
  }

  #outgoing(suffix: string, payload: string, writes: readonly Write[]): Outgoing {
    return {
      topic: `devices/${this.#device}/telemetry${suffix}`,
      payload,
      qos: this.#ground.random.next() < 0.3 ? 2 : 1,
      acknowledged: () => {
        for (const write of writes) write.isAcknowledged = true;
        this.#ground.onAcknowledged();
      },
    };
  }

  #serial(): number {
    return this.#ground.serial();
  }
}

/** A client that posts readings and posts the same body again until it is told that they are on disk. */
export class PostingClient {
  readonly #device: string;
  readonly #ground: LoadGround;
  #time = Date.now() - 6 * 3_600_000;
  #body: { readonly text: string; readonly writes: readonly Write[] } | null = null;

  constructor(device: string, ground: LoadGround) {
    this.#device = device;
    this.#ground = ground;
  }

  get isSettled(): boolean {
    return this.#body === null;
  }

  /** Posts what is unsettled, then new readings while `goesOn`; returns when a post fails. */
  async run(httpPort: number, goesOn: () => boolean): Promise<void> {
    while (this.#body !== null || goesOn()) {
      const body = (this.#body ??= this.#make());
      try {
        const headers = { 'content-type': 'application/json' };
        const { status } = await ask(httpPort, '/api/v1/readings', { method: 'POST', headers, body: body.text });
        if (status !== 200) return;
      } catch {
        return;
      }
      for (const write of body.writes) write.isAcknowledged = true;
      this.#body = null;
      this.#ground.onAcknowledged();
    }
  }

  #make(): { readonly text: string; readonly writes: readonly Write[] } {
    const count = 1 + Math.floor(this.#ground.random.next() * 20);
    const writes = Array.from({ length: count }, () =>
      this.#ground.sent.add(this.#device, 'posted', (this.#time += 7), this.#ground.serial()),
    );
    const rows = writes.map(({ device, metric, time, value }) => ({ device, metric, time, value }));
    return { text: JSON.stringify(rows), writes };
  }
}

import type { Tally } from './tally.ts';

const redrawMs = 250;
const plainMs = 5_000;

/** The part of a stream that the status line needs; `process.stderr` is one. */
export interface StatusOutput {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/**
 * Progress on stderr, so that stdout carries the final tally alone: one line redrawn four times a second on a terminal,
 * a plain line every five seconds elsewhere, or JSON lines for a program.
 */
export class StatusLine {
  readonly #output: StatusOutput;
  readonly #tally: Tally;
  readonly #asJson: boolean;
  readonly #goal: string;
  #timer: NodeJS.Timeout | undefined;
  #isDrawn = false;
  #isEnding = false;

  /** `goal` says what the run works toward, such as `of 7,267`; empty for an open end. */
  constructor(output: StatusOutput, tally: Tally, options: { json: boolean; goal?: string }) {
    this.#output = output;
    this.#tally = tally;
    this.#asJson = options.json;
    this.#goal = options.goal ?? '';
  }

  start(): void {
    this.#timer = setInterval(() => this.#draw(), this.#isLive() ? redrawMs : plainMs);
    this.#timer.unref();
  }

  /** Prints a sentence without disturbing the status line. */
  note(sentence: string): void {
    if (this.#isDrawn) this.#output.write('\r\x1b[2K');
    this.#isDrawn = false;
    this.#output.write(this.#asJson ? `${JSON.stringify({ note: sentence })}\n` : `${sentence}\n`);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#isEnding = true;
    if (!this.#isLive()) return;
    this.#draw();
    this.#output.write('\n');
    this.#isDrawn = false;
  }

  #isLive(): boolean {
    return this.#output.isTTY === true && !this.#asJson;
  }

  #draw(): void {
    const line = this.#asJson ? this.#json() : this.#sentence();
    if (!this.#isLive()) {
      this.#output.write(`${line}\n`);
      return;
    }
    const width = (this.#output.columns ?? 120) - 1;
    this.#output.write(`\r\x1b[2K${line.slice(0, width)}`);
    this.#isDrawn = true;
  }

  #json(): string {
    const { sent, acked, inFlight, errors, connected } = this.#tally;
    return JSON.stringify({ sent, acked, inFlight, errors, connected, ackMs: this.#tally.acks.summary() });
  }

  #sentence(): string {
    const tally = this.#tally;
    const parts = [`sent ${count(tally.sent)}${this.#goal === '' ? '' : ` ${this.#goal}`}`];
    if (tally.qos === 0) parts.push('QoS 0: no acknowledgements');
    else {
      const { p50, p95, p99 } = tally.acks.summary();
      parts.push(`acked ${count(tally.acked)}`, `in flight ${count(tally.inFlight)}`);
      parts.push(`ack p50 ${p50} ms · p95 ${p95} ms · p99 ${p99} ms`);
    }
    if (tally.connected === 0 && !this.#isEnding) parts.push('not connected');
    if (tally.blocked > 0) parts.push(`blocked ${count(tally.blocked)}`);
    if (tally.skipped + tally.offline > 0) parts.push(`not sent ${count(tally.skipped + tally.offline)}`);
    if (tally.errors > 0) parts.push(`errors ${count(tally.errors)}`);
    return parts.join(' · ');
  }
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}

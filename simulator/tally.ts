import { AckHistogram, type AckSummary } from './ack-histogram.ts';

export type Qos = 0 | 1 | 2;

/** What a run has done so far. Counts are of telemetry messages, except where they say otherwise. */
export class Tally {
  readonly acks = new AckHistogram();
  readonly qos: Qos;
  /** Handed to a connection that was up. */
  sent = 0;
  /** Acknowledged: PUBACK at QoS 1, PUBCOMP at QoS 2; nothing at QoS 0. */
  acked = 0;
  /** Single values inside the messages sent. */
  readings = 0;
  /** Handed over or written at QoS 0 when the connection broke, or refused by the client library. */
  errors = 0;
  /** Had to wait because `inFlightMax` messages of the connection were unacknowledged. */
  blocked = 0;
  /** Not sent: the place for waiting messages was taken too, or this process was not run for a while. */
  skipped = 0;
  /** Not sent: the connection was down when they were due. */
  offline = 0;
  /** Sent again on purpose, part of `sent`. */
  duplicates = 0;
  /** Sent late on purpose, part of `sent`. */
  late = 0;
  /** Status and attribute messages that were acknowledged; not part of `sent`. */
  control = 0;
  connects = 0;
  /** Connections that are up now. */
  connected = 0;

  constructor(qos: Qos) {
    this.qos = qos;
  }

  get inFlight(): number {
    return this.qos === 0 ? 0 : this.sent - this.acked - this.errors;
  }

  /** True when everything that can be acknowledged was, and anything could be sent at all. */
  get isClean(): boolean {
    return this.connects > 0 && this.errors === 0 && this.inFlight === 0;
  }

  /** The final account, in the order in which it is printed. */
  report(durationMs: number): FinalTally {
    const hasAcks = this.qos > 0;
    return {
      sent: this.sent,
      acked: hasAcks ? this.acked : null,
      inFlight: this.inFlight,
      readings: this.readings,
      errors: this.errors,
      durationMs: Math.round(durationMs),
      ackMs: hasAcks ? this.acks.summary() : null,
      qos: this.qos,
      blocked: this.blocked,
      skipped: this.skipped,
      offline: this.offline,
      late: this.late,
      duplicates: this.duplicates,
      control: this.control,
      connects: this.connects,
      messagesPerSecond: durationMs > 0 ? Math.round((this.sent / durationMs) * 10_000) / 10 : 0,
      ...(hasAcks ? {} : { note: 'QoS 0 is not acknowledged: sent means written to the connection.' }),
    };
  }
}

/** One JSON line on stdout at the end of a run. */
export interface FinalTally {
  readonly sent: number;
  /** Null at QoS 0, which has no acknowledgement. */
  readonly acked: number | null;
  readonly inFlight: number;
  readonly readings: number;
  readonly errors: number;
  readonly durationMs: number;
  readonly ackMs: AckSummary | null;
  readonly qos: Qos;
  readonly blocked: number;
  readonly skipped: number;
  readonly offline: number;
  readonly late: number;
  readonly duplicates: number;
  readonly control: number;
  readonly connects: number;
  readonly messagesPerSecond: number;
  readonly note?: string;
}

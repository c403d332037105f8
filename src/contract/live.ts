import { z } from 'zod';
import { Alert } from './alert.ts';
import { type ErrorCode, isErrorCode } from './error-codes.ts';

/**
 * The live WebSocket at `/api/v1/live`: JSON text frames, the server speaks first (`hello`).
 *
 * How a client keeps its place. Every subscription has its own cursor: take it from `subscribed`, `readings`, `alert`
 * and `gap` frames that carry the subscription's id, and from every `heartbeat` (which holds for all subscriptions that
 * were `subscribed` on this connection before it came). It counts once the snapshot has ended (`done: true`). After a disconnect subscribe again with
 * `since` set to it: `recovered: true` means that exactly what was missed follows, `recovered: false` comes with a
 * `gap` frame and a fresh snapshot. A `gap` may also come later, when a slow client was overtaken by the trimming of
 * the log; a snapshot follows it too.
 */
export const liveSubprotocol = 'pulsegate.v1.json';

/** A subscription's name, chosen by the client, unique on its connection. */
const subscriptionId = z.string().min(1).max(64);
const glob = z.string().min(1).max(1024);
const cursor = z.string().regex(/^[A-Za-z0-9]{1,32}:\d{1,16}$/, 'a cursor is "<epoch>:<number>"');
const time = z.iso.datetime({ precision: 3 });
const code = z.string().refine(isErrorCode).meta({ description: 'From the registry that REST uses too' });
const value = z.union([z.number(), z.boolean(), z.string()]);

// ── From the client ──────────────────────────────────────────────────────────────────────────────────────────────

export const SubscribeFrame = z.strictObject({
  op: z.literal('subscribe'),
  id: subscriptionId,
  /** `devices` and `commands` are named by the protocol and answered with `topic_not_available` by this version. */
  topic: z.enum(['readings', 'alerts', 'devices', 'commands']).default('readings'),
  /** Filters take `*`, `?` and comma lists. */
  device: glob.default('*'),
  metric: glob.default('*'),
  /** `all`: every reading, or the connection is closed as too slow. `latest`: when behind, the newest of each series. */
  mode: z.enum(['all', 'latest']).default('all'),
  /** Go on after this cursor. Left away: a snapshot of the current values, then what comes. */
  since: z.string().max(64).optional(),
  shape: z.enum(['rows', 'columns']).default('rows'),
});

export const UnsubscribeFrame = z.strictObject({ op: z.literal('unsubscribe'), id: subscriptionId });

/** For browsers, which cannot send protocol pings; answered with `pong` and the same id. */
export const PingFrame = z.strictObject({ op: z.literal('ping'), id: subscriptionId.optional() });

export const ClientFrame = z.discriminatedUnion('op', [SubscribeFrame, UnsubscribeFrame, PingFrame]);

/** What a client writes (defaults may be left away). */
export type ClientFrame = z.input<typeof ClientFrame>;
/** A client frame with its defaults filled in. */
export type ClientCommand = z.output<typeof ClientFrame>;
export type SubscribeCommand = z.output<typeof SubscribeFrame>;

// ── From the server ──────────────────────────────────────────────────────────────────────────────────────────────

const row = z.strictObject({ device: z.string(), metric: z.string(), time, value });
/** `[n, device, metric, unit]`: from here on this subscription calls the series `n`. The unit is a UCUM code or null. */
const seriesName = z.tuple([z.number().int(), z.string(), z.string(), z.string().nullable()]);
/** `[n, epoch ms, value]` */
const point = z.tuple([z.number().int(), z.number().int(), value]);
const asRows = { readings: z.array(row).readonly() };
const asColumns = { series: z.array(seriesName).readonly(), points: z.array(point).readonly() };

const hello = z.strictObject({
  op: z.literal('hello'),
  version: z.string(),
  limits: z.strictObject({
    /** Longest frame from the client, bytes. */
    messageBytesMax: z.number().int(),
    subscriptionsMax: z.number().int(),
    /** Frames from the client a second, over a burst. */
    commandsPerSecond: z.number(),
    /** Unsent bytes at which a subscriber of mode `all` is closed as too slow. */
    clientBacklogMax: z.number().int(),
    heartbeatMs: z.number().int(),
  }),
});
const subscribed = z.strictObject({ op: z.literal('subscribed'), id: subscriptionId, cursor, recovered: z.boolean() });
const unsubscribed = z.strictObject({ op: z.literal('unsubscribed'), id: subscriptionId });

const snapshotHead = { op: z.literal('snapshot'), id: subscriptionId, done: z.boolean() };
const rowsSnapshot = z.strictObject({ ...snapshotHead, ...asRows });
const columnsSnapshot = z.strictObject({ ...snapshotHead, ...asColumns });
/** The alerts that are firing. */
const alertsSnapshot = z.strictObject({ ...snapshotHead, alerts: z.array(Alert).readonly() });

const readingsHead = { op: z.literal('readings'), id: subscriptionId, cursor };
const rowsReadings = z.strictObject({ ...readingsHead, ...asRows });
const columnsReadings = z.strictObject({ ...readingsHead, ...asColumns });

/**
 * An alert changed state. Where one commit holds several, only the last carries the commit's cursor, so that a
 * connection that breaks between them resumes before them; `sequence` (per rule and series) tells a repetition.
 */
const alert = z.strictObject({
  op: z.literal('alert'),
  id: subscriptionId,
  cursor,
  type: z.enum(['alert.firing', 'alert.resolved']),
  sequence: z.number().int(),
  alert: Alert,
});

/** Why readings between two cursors cannot be told. */
export const GapReason = z.enum(['epoch_changed', 'trimmed', 'ahead']);
export type GapReason = z.infer<typeof GapReason>;

const gap = z.strictObject({
  op: z.literal('gap'),
  id: subscriptionId,
  after: cursor,
  resumed: cursor,
  reason: GapReason,
});
/**
 * The last commit examined for all that is subscribed on the connection. One that was on its way when a subscription
 * began says nothing about that subscription.
 */
const heartbeat = z.strictObject({ op: z.literal('heartbeat'), cursor });
const pong = z.strictObject({ op: z.literal('pong'), id: subscriptionId.optional() });
const error = z.strictObject({
  op: z.literal('error'),
  id: subscriptionId.optional(),
  code,
  message: z.string(),
  /** Where to resume, when the connection is closed for slowness. */
  cursor: cursor.optional(),
});

export const ServerFrame = z.union([
  hello,
  subscribed,
  unsubscribed,
  rowsSnapshot,
  columnsSnapshot,
  alertsSnapshot,
  rowsReadings,
  columnsReadings,
  alert,
  gap,
  heartbeat,
  pong,
  error,
]);

export type ServerFrame = z.infer<typeof ServerFrame>;
export type LiveReading = z.infer<typeof row>;
export type AlertFrame = z.infer<typeof alert>;
export type ErrorFrame = Omit<z.infer<typeof error>, 'code'> & { readonly code: ErrorCode };

// ── Closing ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** What a client should do after a close: come back at once, come back later and later, or not as it is. */
export type CloseVerdict = 'reconnect' | 'back_off' | 'terminal';

/**
 * The close codes of the server. Any other code, and a connection that ends without one (1006), means `back_off`.
 * With 4008 the close reason is the cursor to resume from.
 */
export const closeCodes = {
  going_away: { code: 1001, verdict: 'reconnect', meaning: 'the gateway stops or restarts' },
  protocol_error: { code: 1002, verdict: 'terminal', meaning: 'the frames break RFC 6455' },
  not_utf8: { code: 1007, verdict: 'terminal', meaning: 'a text frame is not UTF-8' },
  policy: { code: 1008, verdict: 'terminal', meaning: 'too many fragments for one message' },
  too_big: { code: 1009, verdict: 'terminal', meaning: 'a message is longer than limits.messageBytesMax' },
  try_later: { code: 1013, verdict: 'back_off', meaning: 'the commit log cannot be read just now' },
  bad_messages: { code: 4000, verdict: 'terminal', meaning: 'too many messages that could not be understood' },
  too_slow: { code: 4008, verdict: 'reconnect', meaning: 'more unsent bytes than limits.clientBacklogMax' },
  too_many_messages: { code: 4029, verdict: 'back_off', meaning: 'more messages a second than allowed' },
} as const satisfies Record<string, { code: number; verdict: CloseVerdict; meaning: string }>;

export type CloseCode = keyof typeof closeCodes;

/** The verdict for a close code as a client sees it. */
export function closeVerdict(code: number): CloseVerdict {
  for (const known of Object.values(closeCodes)) {
    if (known.code === code) return known.verdict;
  }
  return 'back_off';
}

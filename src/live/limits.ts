/** Every bound of the live room by name; all of them can be set, all of them have a counter in `LiveStats`. */
export interface LiveLimits {
  /** Unsent bytes at which a subscriber of mode `all` is closed as too slow. One frame alone may be longer. */
  readonly clientBacklogMax: number;
  /** Snapshots, replays and values of mode `latest` go out only while fewer bytes are unsent. At least 64 KiB. */
  readonly writableBelow: number;
  readonly clientsMax: number;
  /** Subscriptions of one client. */
  readonly subscriptionsMax: number;
  /** Distinct (topic, filter, mode, shape) over all clients. */
  readonly channelsMax: number;
  /** Polls that wait at the same time. */
  readonly pollsMax: number;
  /** Longest message from a client, bytes. */
  readonly messageBytesMax: number;
  /** Messages of one client: so many a second, over a burst. */
  readonly commandsPerSecond: number;
  readonly commandBurst: number;
  /** Messages that could not be understood, after which the client is closed. */
  readonly badMessagesMax: number;
  /** Readings in one snapshot frame. */
  readonly snapshotReadingsMax: number;
  /** Readings asked for in one page of the log, and examined in one turn of a replay. */
  readonly pageReadingsMax: number;
  /** Bytes of recent batches kept in memory for the hand-over from replay to live. */
  readonly recentBytesMax: number;
  /** Pages of the log kept while clients resume. */
  readonly pagesKept: number;
  /** Shortest and longest pause between two flushes, ms; the busier the flush, the longer. */
  readonly flushMinMs: number;
  readonly flushMaxMs: number;
  readonly heartbeatMs: number;
  /** A protocol ping this often; a client that gave no sign of life within `pongMs` of it is dead. */
  readonly pingMs: number;
  readonly pongMs: number;
  /** How long a closing client may take to read what is queued and to answer the close. */
  readonly closeMs: number;
}

export const defaultLiveLimits: LiveLimits = {
  clientBacklogMax: 1_000_000,
  writableBelow: 128 * 1024,
  clientsMax: 1_000,
  subscriptionsMax: 100,
  channelsMax: 2_000,
  pollsMax: 1_000,
  messageBytesMax: 64 * 1024,
  commandsPerSecond: 50,
  commandBurst: 200,
  badMessagesMax: 20,
  snapshotReadingsMax: 1_000,
  pageReadingsMax: 5_000,
  recentBytesMax: 4_000_000,
  pagesKept: 8,
  flushMinMs: 10,
  flushMaxMs: 50,
  heartbeatMs: 10_000,
  pingMs: 25_000,
  pongMs: 8_000,
  closeMs: 5_000,
};

/** What the live room has done since the start; gauges are marked. */
export interface LiveStats {
  /** Gauge: open connections. */
  clients: number;
  /** Gauge: subscriptions, also those that still catch up. */
  subscriptions: number;
  /** Gauge: subscriptions that still catch up. */
  catchingUp: number;
  /** Gauge: long polls that wait. */
  pollsWaiting: number;
  polls: number;
  /** Upgrades refused because of `clientsMax`, stopping, or an unknown subprotocol. */
  upgradesRefused: number;
  messagesReceived: number;
  messagesRefused: number;
  framesSent: number;
  bytesSent: number;
  /** Readings delivered, counted once a client; snapshots are not in it. */
  readingsSent: number;
  alertsSent: number;
  /** Readings that a subscriber of mode `latest` did not get because a newer one of the series took their place. */
  merged: number;
  /** Subscriptions that resumed without a gap. */
  recovered: number;
  /** Gaps told, on the socket and in polls. */
  gaps: number;
  /** Clients closed because they read too slowly. */
  slowClosed: number;
  /** Clients ended because they gave no sign of life. */
  deadClosed: number;
  /** Pages read from the commit log. */
  logReads: number;
}

export function noLiveStats(): LiveStats {
  return {
    clients: 0,
    subscriptions: 0,
    catchingUp: 0,
    pollsWaiting: 0,
    polls: 0,
    upgradesRefused: 0,
    messagesReceived: 0,
    messagesRefused: 0,
    framesSent: 0,
    bytesSent: 0,
    readingsSent: 0,
    alertsSent: 0,
    merged: 0,
    recovered: 0,
    gaps: 0,
    slowClosed: 0,
    deadClosed: 0,
    logReads: 0,
  };
}

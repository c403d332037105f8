export interface KeepaliveLimits {
  /** A shorter keepalive is taken for this one, ms. */
  readonly keepaliveMin: number;
  /** A longer keepalive, or none, is taken for this one, ms. */
  readonly keepaliveMax: number;
}

/**
 * How long a client may be silent before it is taken for gone, ms: one and a half times the keepalive of its CONNECT, in
 * seconds (MQTT 3.1.1 section 3.1.2.10). aedes is told that there is none, because what takes the express lane passes it by;
 * the connections are looked at once a second, all together, which costs less than a timer for each.
 */
export function silenceAllowed(keepalive: number, { keepaliveMin, keepaliveMax }: KeepaliveLimits): number {
  const asked = keepalive > 0 ? keepalive * 1_000 : keepaliveMax;
  return 1.5 * Math.min(Math.max(asked, keepaliveMin), keepaliveMax);
}

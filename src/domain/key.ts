import type { TopicRights } from './principal.ts';

/**
 * What a key may do. `read`: ask and watch. `write`: send readings and commands. `admin`: everything, keys included.
 * `mqtt`: connect to the broker, within the filters given with it.
 */
export const keyScopes = ['read', 'write', 'admin', 'mqtt'] as const;
export type KeyScope = (typeof keyScopes)[number];

/** The scope that something asked over HTTP needs; `mqtt` is for the broker alone. */
export type RouteScope = Exclude<KeyScope, 'mqtt'>;

/** What is kept of a key: enough to know it again, not to use it. */
export interface KeyRecord {
  /** The eight characters after `pulse_`, which name the key wherever it is shown. */
  readonly id: string;
  /** SHA-256 of the whole key, in hex. A key has 178 random bits, so a slow hash would protect nothing. */
  readonly hash: string;
  readonly name: string;
  /** RFC 3339. */
  readonly createdAt: string;
  readonly scopes: readonly KeyScope[];
  /** What a key with the scope `mqtt` or `admin` may publish and subscribe to. */
  readonly mqtt: TopicRights;
  /** RFC 3339; null for never. */
  readonly expiresAt: string | null;
}

/**
 * What the broker must remember of sessions over a restart, as rows that the engine keeps without understanding them.
 * A row is known by (kind, client, key); retained messages have the empty client and their topic as key.
 */
export type SessionKind = 'session' | 'subscription' | 'queued' | 'incoming' | 'retained' | 'will';

export interface SessionRow {
  readonly kind: SessionKind;
  /** MQTT client id, or "". */
  readonly client: string;
  readonly key: string;
  readonly bytes: Uint8Array;
}

/** Applied in order, in the commit that carries them. */
export type SessionChange =
  | { readonly op: 'put'; readonly row: SessionRow }
  | { readonly op: 'delete'; readonly kind: SessionKind; readonly client: string; readonly key: string }
  /** Every row of the client but its retained messages, which are nobody's. */
  | { readonly op: 'clear'; readonly client: string };

/** What is kept of a device's token: enough to know it again, not to use it. In the engine, never in the catalog. */
export interface DeviceToken {
  readonly device: string;
  /** Names the token wherever it is shown. */
  readonly id: string;
  /** SHA-256 of the whole token, in hex. */
  readonly hash: string;
  /** Epoch ms. */
  readonly createdAt: number;
  /** Epoch ms after which it is refused (rotation with an overlap); null for never. */
  readonly expiresAt: number | null;
}

export type TokenChange =
  | { readonly kind: 'put'; readonly token: DeviceToken }
  /** One token, or with `id` null all tokens of the device. */
  | { readonly kind: 'revoke'; readonly device: string; readonly id: string | null };

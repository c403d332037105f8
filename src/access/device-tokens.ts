import type { Random } from '../base/random.ts';
import type { DeviceToken, TokenChange } from '../domain/device-token.ts';
import { hashOf, isSameHash, newSecret, readSecret } from './secret-text.ts';

const prefix = 'pulsedev';
/** Most devices have one token, which is kept without a list around it; rotation with an overlap makes it two. */
type TokensOfDevice = DeviceToken | readonly DeviceToken[];

/**
 * Makes a device's token, `pulsedev_…` (see `secret-text.ts`). The token is shown once; the record goes into a commit and,
 * once that is on disk, into the book. To rotate with an overlap, put the old record again with an `expiresAt`.
 */
export function issueToken(
  random: Random,
  device: string,
  now: number,
  options: { readonly expiresAt?: number | null } = {},
): { readonly token: string; readonly record: DeviceToken } {
  const { text, id, hash } = newSecret(prefix, random);
  return { token: text, record: { device, id, hash, createdAt: now, expiresAt: options.expiresAt ?? null } };
}

/** Whether the text looks like a device's token, mistyped or not. */
export function isTokenShaped(text: string): boolean {
  return text.startsWith(`${prefix}_`);
}

/** The tokens of all devices, in memory. What is asked is answered at once; changes come from commits. */
export class DeviceTokenBook {
  readonly #byDevice = new Map<string, TokensOfDevice>();
  /** Token id → device, for clients that present a token alone. */
  readonly #deviceOf = new Map<string, string>();

  /** Every token that the engine keeps, at the start. */
  load(tokens: Iterable<DeviceToken>): void {
    for (const token of tokens) this.#put(token);
  }

  apply(change: TokenChange): void {
    if (change.kind === 'put') this.#put(change.token);
    else this.#revoke(change.device, change.id);
  }

  /** The device's token that was presented, or null; an expired one is none. `now` is epoch ms. */
  verify(device: string, presented: string, now: number): DeviceToken | null {
    const hash = hashOf(presented);
    let found: DeviceToken | null = null;
    // Every token is compared: how long it takes tells nothing about which one it was.
    for (const token of this.ofDevice(device)) {
      if (isSameHash(token.hash, hash) && isCurrent(token, now)) found = token;
    }
    return found;
  }

  /** As `verify`, for a token that comes without its device. */
  find(presented: string, now: number): DeviceToken | null {
    const shape = readSecret(prefix, presented);
    const device = shape.kind === 'whole' ? this.#deviceOf.get(shape.id) : undefined;
    return device === undefined ? null : this.verify(device, presented, now);
  }

  /** Whether the token with this id is still there and not expired. */
  holds(device: string, id: string, now: number): boolean {
    return this.ofDevice(device).some((token) => token.id === id && isCurrent(token, now));
  }

  /** Every token of the device, expired ones included, oldest first. */
  ofDevice(device: string): readonly DeviceToken[] {
    const tokens = this.#byDevice.get(device);
    if (!tokens) return [];
    return 'device' in tokens ? [tokens] : tokens;
  }

  hasTokens(device: string): boolean {
    return this.#byDevice.has(device);
  }

  /** Tokens in all. */
  get size(): number {
    return this.#deviceOf.size;
  }

  #put(token: DeviceToken): void {
    const others = this.ofDevice(token.device).filter(({ id }) => id !== token.id);
    this.#keep(
      token.device,
      [...others, token].sort((left, right) => left.createdAt - right.createdAt),
    );
    this.#deviceOf.set(token.id, token.device);
  }

  #revoke(device: string, id: string | null): void {
    const tokens = this.ofDevice(device);
    for (const token of tokens) if (id === null || token.id === id) this.#deviceOf.delete(token.id);
    this.#keep(
      device,
      tokens.filter((token) => id !== null && token.id !== id),
    );
  }

  #keep(device: string, tokens: readonly DeviceToken[]): void {
    const [first] = tokens;
    if (!first) this.#byDevice.delete(device);
    else this.#byDevice.set(device, tokens.length === 1 ? first : tokens);
  }
}

function isCurrent(token: DeviceToken, now: number): boolean {
  return token.expiresAt === null || token.expiresAt > now;
}

import { type DeviceTokenBook, isTokenShaped } from './device-tokens.ts';
import type { FailedAttempts } from './failed-attempts.ts';
import type { RouteScope } from '../domain/key.ts';
import type { Caller } from '../domain/principal.ts';
import { hasScope, isExpired, verifyKey } from './keys.ts';
import { type AccessPolicy, judgeRequest, presentedKey, type RequestFacts, type Verdict } from './open-mode.ts';

export interface RequestJudgeParts {
  /** What holds now. */
  policy(): Pick<AccessPolicy, 'openMode' | 'keys' | 'corsOrigins'>;
  readonly tokens: DeviceTokenBook;
  readonly devices: {
    /** Why nothing is taken from the device; null when it is. */
    refusal(device: string): { readonly detail: string } | null;
    isGateway(device: string): boolean;
  };
  readonly failures: FailedAttempts;
  /** Epoch ms. */
  now(): number;
}

/**
 * Judges HTTP requests and upgrades. Wrong keys count against the address they come from, together with wrong
 * credentials on MQTT; a barred address is refused whatever it presents, but still gets what needs no key.
 */
export class RequestJudge {
  readonly #parts: RequestJudgeParts;

  constructor(parts: RequestJudgeParts) {
    this.#parts = parts;
  }

  async judge(request: RequestFacts): Promise<Verdict> {
    const { failures } = this.#parts;
    const { openMode, keys } = this.#parts.policy();
    const presented = presentedKey(request.authorization);
    // Nothing is guessed where nothing is asked for.
    if (openMode || request.isPublic || presented === null) return this.#judge(request);
    const verdict = await failures.attempt(request.remoteAddress, () => {
      const verdict = this.#judge(request);
      // A key that has run out was no guess.
      const isWrong = !verdict.allowed && verdict.code === 'unauthorized' && !verifyKey(presented, keys);
      return { verdict, isWrong };
    });
    if (verdict) return verdict;
    return {
      allowed: false,
      code: 'rate_limited',
      detail: 'too many wrong credentials came from this address',
      retryAfterMs: failures.barredFor(request.remoteAddress),
    };
  }

  /** Whether whoever was let in earlier would be let in still; asked of connections that last. */
  holds(caller: Caller, scope: RouteScope): boolean {
    const { openMode, keys } = this.#parts.policy();
    if (caller.kind === 'open') return openMode;
    if (caller.kind === 'anyone') return true;
    if (caller.kind !== 'key') return false;
    const key = keys.find(({ id }) => id === caller.id);
    return key !== undefined && !isExpired(key, this.#parts.now()) && hasScope(key, scope);
  }

  #judge(request: RequestFacts): Verdict {
    const policy = { ...this.#parts.policy(), now: this.#parts.now(), device: (text: string) => this.#device(text) };
    return judgeRequest(request, policy);
  }

  #device(presented: string): Verdict | null {
    if (!isTokenShaped(presented)) return null;
    const { tokens, devices } = this.#parts;
    const token = tokens.find(presented, this.#parts.now());
    if (!token) return { allowed: false, code: 'unauthorized', detail: 'the device token is unknown or has expired' };
    const { device } = token;
    const refusal = devices.refusal(device);
    if (refusal) return { allowed: false, code: 'forbidden', detail: refusal.detail };
    return { allowed: true, caller: { kind: 'device', device, forOthers: devices.isGateway(device) } };
  }
}

/** Mixes 32 bits so that neighbouring inputs give unrelated outputs. */
function mix(bits: number): number {
  let mixed = bits | 0;
  mixed ^= mixed >>> 16;
  mixed = Math.imul(mixed, 0x7feb352d);
  mixed ^= mixed >>> 15;
  mixed = Math.imul(mixed, 0x846ca68b);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** How often something short happens: at most once in every slot of `everyMs`, with a chance, for a while. */
export interface SpellPlan {
  readonly everyMs: number;
  /** Chance that a slot has a spell, 0 to 1. */
  readonly chance: number;
  readonly minMs: number;
  readonly maxMs: number;
}

/**
 * One source of randomness of one device. Every answer is a function of the key and the argument alone, so a value
 * at a time does not depend on how often, or in which order, the device was asked before.
 */
export class RandomStream {
  readonly #key: number;

  constructor(key: number) {
    this.#key = key;
  }

  /** Uniform in [0, 1) for the integer `n`, which may be as large as an epoch time in ms. */
  uniform(n: number): number {
    const high = Math.floor(n / 4_294_967_296);
    return mix(mix(this.#key ^ (n | 0)) + Math.imul(high, 0x9e3779b1)) / 4_294_967_296;
  }

  /** Uniform in [low, high) for the integer `n`. */
  between(low: number, high: number, n = 0): number {
    return low + (high - low) * this.uniform(n);
  }

  /** A curve through random points at whole numbers, in [-1, 1], without steps or corners. */
  smooth(x: number): number {
    const left = Math.floor(x);
    const part = x - left;
    const blend = part * part * (3 - 2 * part);
    return (this.uniform(left) * (1 - blend) + this.uniform(left + 1) * blend) * 2 - 1;
  }

  /** Sensor noise in (-1, 1), mostly near zero, different in every millisecond. */
  jitter(timeMs: number): number {
    const whole = Math.floor(timeMs);
    return this.uniform(whole * 2) - this.uniform(whole * 2 + 1);
  }

  /** How far the spell that covers `timeMs` has come, in [0, 1); -1 when there is none. */
  spell(timeMs: number, plan: SpellPlan): number {
    const slot = Math.floor(timeMs / plan.everyMs);
    if (this.uniform(slot * 3) >= plan.chance) return -1;
    const lengthMs = this.between(plan.minMs, plan.maxMs, slot * 3 + 1);
    const startMs = slot * plan.everyMs + (plan.everyMs - lengthMs) * this.uniform(slot * 3 + 2);
    const progress = (timeMs - startMs) / lengthMs;
    return progress >= 0 && progress < 1 ? progress : -1;
  }
}

/** The randomness of one device: a named stream for each thing that varies on its own. */
export class Noise {
  readonly #key: number;

  constructor(seed: number, deviceIndex: number) {
    this.#key = mix(mix(seed) ^ Math.imul(deviceIndex + 1, 0x9e3779b1));
  }

  stream(name: string): RandomStream {
    let key = this.#key;
    for (let at = 0; at < name.length; at++) key = mix(key ^ (name.charCodeAt(at) + at * 131));
    return new RandomStream(key);
  }
}

import type { Visitor } from './visitor.ts';

/** Why the last connection of a device ended: it said goodbye (DISCONNECT), or did not. */
export type ClosedCause = 'disconnected' | 'connection_lost';

/** Who wants to hear that devices come and go. */
export interface PresenceListener {
  /** Whether a client id is the id of a device, where the credentials do not say. */
  isKnownDevice(clientId: string): boolean;
  opened(device: string): void;
  closed(device: string, cause: ClosedCause): void;
  /** A connection of the device was granted a subscription; what is sent to it now can reach it. */
  listens(device: string): void;
}

/** Where nobody wants to hear of it. */
export const noListener: PresenceListener = {
  isKnownDevice: () => false,
  opened() {},
  closed() {},
  listens() {},
};

/**
 * The connections of each device. A device is there while it has at least one, so that neither a second connection nor
 * the take-over of the first by a newer one makes it come or go.
 */
export class Presence {
  readonly #listener: PresenceListener;
  readonly #byDevice = new Map<string, Set<Visitor>>();

  constructor(listener: PresenceListener) {
    this.#listener = listener;
  }

  isConnected(device: string): boolean {
    return this.#byDevice.has(device);
  }

  of(device: string): Iterable<Visitor> {
    return this.#byDevice.get(device) ?? [];
  }

  /** The device of somebody with this credential and client id; null for everybody who is none. */
  deviceOf({ principal }: Visitor, clientId: string): string | null {
    if (principal?.kind === 'device') return principal.device;
    return principal?.kind === 'open' && this.#listener.isKnownDevice(clientId) ? clientId : null;
  }

  entered(visitor: Visitor): void {
    const { device } = visitor;
    if (device === null) return;
    const visitors = this.#byDevice.get(device);
    if (visitors) {
      visitors.add(visitor);
      return;
    }
    this.#byDevice.set(device, new Set([visitor]));
    this.#listener.opened(device);
  }

  subscribed({ device }: Visitor): void {
    if (device !== null) this.#listener.listens(device);
  }

  left(visitor: Visitor, cause: ClosedCause): void {
    const { device } = visitor;
    const visitors = device === null ? undefined : this.#byDevice.get(device);
    if (device === null || !visitors?.delete(visitor) || visitors.size > 0) return;
    this.#byDevice.delete(device);
    this.#listener.closed(device, cause);
  }
}

import type { KeyScope } from './key.ts';

/** Who speaks, once the credentials were judged. */
export type Principal =
  /** Open mode: somebody on this machine, while nobody made a key. */
  | { readonly kind: 'open' }
  /** A device with a token or a certificate of its own. */
  | {
      readonly kind: 'device';
      readonly device: string;
      /** Which credential it was: only the same one may take a client id over. */
      readonly credential: string;
      /** Whether it may speak for other devices, too (its profile says `gateway`). */
      readonly forOthers: boolean;
    }
  /** A device that has no token yet and holds a provisioning key: it may ask for one and nothing else. */
  | {
      readonly kind: 'provisioning';
      /** Id of the provisioning key. */
      readonly key: string;
      readonly profile: string;
      /** The id that it wants to have. */
      readonly device: string;
    }
  /** A person or a program with an API key. */
  | { readonly kind: 'key'; readonly id: string; readonly mqtt: TopicRights };

/** MQTT filters (MQTT 3.1.1 section 4.7): a topic or filter is allowed when one of them covers it. */
export interface TopicRights {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

/** The sender of a message as far as decoding it is concerned. */
export interface Sender {
  /** The device that the connection belongs to; null for a key, for open mode and for an external broker. */
  readonly device: string | null;
  /** Whether it may send readings of devices other than its own. */
  readonly forOthers: boolean;
}

/** Whoever is no device may speak for all of them. */
export const anySender: Sender = { device: null, forOthers: true };

/** Who asks over HTTP, once the credentials were judged. */
export type Caller =
  /** Open mode. */
  | { readonly kind: 'open' }
  /** An address that needs no key was asked for; nobody looked who it is. */
  | { readonly kind: 'anyone' }
  | { readonly kind: 'key'; readonly id: string; readonly scopes: readonly KeyScope[] }
  | { readonly kind: 'device'; readonly device: string; readonly forOthers: boolean };

/** As whose readings are taken that the principal or caller sends. */
export function senderOf(speaker: Principal | Caller): Sender {
  if (speaker.kind === 'device') return { device: speaker.device, forOthers: speaker.forOthers };
  // What is sent with a provisioning key is no reading; should one come through, it is the wanted device's alone.
  return speaker.kind === 'provisioning' ? { device: speaker.device, forOthers: false } : anySender;
}

import type { Client } from 'aedes';
import type { Principal, Sender } from '../../domain/principal.ts';
import { anySender } from '../../domain/principal.ts';
import type { DeviceCertificate } from '../gatekeeper.ts';
import type { Bucket } from './device-rate.ts';
import type { Visit } from './door.ts';
import type { GuardedConnection } from './guarded-connection.ts';

/** What a CONNECT (MQTT 3.1.1 section 3.1) said, as far as it is needed later. */
export interface ConnectSaid {
  readonly clientId: string;
  readonly clean: boolean;
  readonly protocolLevel: number;
  readonly willTopic: string | null;
}

/** One connection, and what is known of whoever came over it. */
export class Visitor {
  readonly connection: GuardedConnection;
  readonly visit: Visit;
  /** The verified client certificate, known once the TLS handshake is over. */
  readonly certificate: () => DeviceCertificate | null;
  /** Filters that it was granted and has not taken back, with the QoS it asked for. */
  readonly filters = new Map<string, number>();
  said: ConnectSaid | undefined;
  client: Client | undefined;
  /** Undefined until its CONNECT was judged well. */
  principal: Principal | undefined;
  sender: Sender = anySender;
  /** The device that it is: its credential says so, or its client id does in open mode; null for everybody else. */
  device: string | null = null;
  bucket: Bucket | undefined;

  constructor(parts: {
    connection: GuardedConnection;
    visit: Visit;
    certificate: () => DeviceCertificate | null;
  }) {
    this.connection = parts.connection;
    this.visit = parts.visit;
    this.certificate = parts.certificate;
  }

  get clientId(): string | null {
    return this.client?.id ?? null;
  }
}

/** Whether both hold the same credential, as far as a client id and its session are concerned. */
export function isSameOwner(one: Principal, other: Principal): boolean {
  return ownerOf(one) === ownerOf(other);
}

/** Names whoever holds a credential; a device stays the same device when its token is rotated. */
export function ownerOf(principal: Principal): string {
  if (principal.kind === 'device') return ownerOfDevice(principal.device);
  if (principal.kind === 'key') return `key ${principal.id}`;
  return principal.kind === 'provisioning' ? `provisioning ${principal.key}` : 'open';
}

export function ownerOfDevice(device: string): string {
  return `device ${device}`;
}

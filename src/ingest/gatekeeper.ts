import type { Principal } from '../domain/principal.ts';

/** What a CONNECT (MQTT 3.1.1 section 3.1) and its connection say of who is there. */
export interface ConnectFacts {
  readonly remoteAddress: string | undefined;
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** The verified client certificate of a TLS connection, or null. */
  readonly certificate: DeviceCertificate | null;
}

export interface DeviceCertificate {
  readonly commonName: string | null;
  /** DNS names and URIs of the subject alternative names, in order. */
  readonly names: readonly string[];
}

export type Admission =
  | { readonly allowed: true; readonly principal: Principal }
  | {
      readonly allowed: false;
      /** CONNACK return code: 2 identifier rejected, 3 server unavailable, 4 bad user name or password, 5 not authorized. */
      readonly code: 2 | 3 | 4 | 5;
      /** A sentence for the log. */
      readonly detail: string;
    };

/** Who may do what on MQTT. One decision serves publish, subscribe and forward. */
export interface Gatekeeper {
  /** Whether the address has failed too often lately; asked before a CONNECT is looked at. */
  isBarred(remoteAddress: string | undefined): Promise<boolean>;
  /** Judges a CONNECT; a refusal for wrong credentials counts against the address. */
  admit(facts: ConnectFacts): Promise<Admission>;
  mayPublish(principal: Principal, topic: string): boolean;
  /** Whether every topic that the filter matches may be received. */
  maySubscribe(principal: Principal, filter: string): boolean;
  mayReceive(principal: Principal, topic: string): boolean;
  /** Whether the credential still holds: asked again when keys, tokens or registrations change. */
  isValid(principal: Principal): boolean;
}

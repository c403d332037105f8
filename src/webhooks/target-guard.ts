import type { LookupAddress } from 'node:dns';
import { lookup as lookupName } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import { callbackify } from 'node:util';
import { buildConnector } from 'undici';
import type { Duration } from '../base/duration.ts';
import { RejectedError } from '../base/errors.ts';
import { AddressRanges, reservedAddresses } from './address-ranges.ts';

/** Every address of a host name; rejects as `dns.promises.lookup` does. */
export type Lookup = (hostname: string) => Promise<readonly LookupAddress[]>;

const systemLookup: Lookup = (hostname) => lookupName(hostname, { all: true, order: 'verbatim' });

/** A connection was refused before it was made. Says nothing about what is there. */
export class TargetRefusedError extends Error {
  override readonly name = 'TargetRefusedError';
}

/**
 * Keeps webhooks from reaching into the network the gateway stands in. An address is allowed when it is public, or in
 * `allowTargets` (an operator's decision, never a user's). Ports other than 80, 443 and 8000–9000 need `allowTargets`.
 *
 * It takes two halves. A literal address never causes a lookup, so it is judged in `connect`; a name is judged by what
 * it resolves to, all of it, in the very lookup the connection then uses, so that a name cannot change its mind between
 * check and connect.
 */
export class TargetGuard {
  readonly #allowed: AddressRanges;
  readonly #lookup: Lookup;

  constructor(options: { readonly allowTargets: readonly string[]; readonly lookup?: Lookup }) {
    this.#allowed = new AddressRanges(options.allowTargets);
    this.#lookup = options.lookup ?? systemLookup;
  }

  /**
   * Judges a webhook's URL when it is registered, without asking the network; names are judged at every connection.
   * Throws `RejectedError` (`target_not_allowed`) with a sentence that says how to allow it.
   */
  checkTarget(url: string): URL {
    const target = URL.parse(url);
    if (!target || (target.protocol !== 'http:' && target.protocol !== 'https:')) {
      throw refusal('a webhook goes to an absolute http or https URL');
    }
    if (target.username !== '' || target.password !== '') {
      throw refusal('a webhook URL carries no user name or password; the signature says who sends');
    }
    const host = bareHost(target.hostname);
    const port = portOf(target.port, target.protocol);
    const known = isIP(host) > 0 ? [host] : isLocalName(host) ? localAddresses.map(({ address }) => address) : [];
    // A local name is fine when one of its addresses is; the connection then takes that one.
    if (known.length > 0 && !known.some((address) => this.#allows(address, true))) {
      throw refusal(
        `${host} is in a private or reserved network; an operator can allow it by listing its range in webhooks.allowTargets`,
      );
    }
    const mayUseAnyPort =
      known.length > 0 ? known.some((address) => this.#allowed.includes(address)) : !this.#allowed.isEmpty;
    if (!isWebPort(port) && !mayUseAnyPort) {
      throw refusal(
        `port ${port} is not one of 80, 443 and 8000 to 9000; an operator can allow it by listing the target's range in webhooks.allowTargets`,
      );
    }
    return target;
  }

  /** The connector for an undici dispatcher. Its callback gets a `TargetRefusedError` for what is not allowed. */
  connector(connectTimeout: Duration): buildConnector.connector {
    const connect = (anyPublic: boolean): buildConnector.connector =>
      buildConnector({ timeout: connectTimeout, allowH2: false, lookup: this.#guardedLookup(anyPublic) });
    const toWebPort = connect(true);
    const toOtherPort = connect(false);
    return (options, callback) => {
      const host = bareHost(options.hostname);
      const anyPublic = isWebPort(portOf(options.port, options.protocol));
      if (isIP(host) > 0 && !this.#allows(host, anyPublic)) {
        queueMicrotask(() => callback(new TargetRefusedError('target not allowed'), null));
        return;
      }
      (anyPublic ? toWebPort : toOtherPort)({ ...options, hostname: host }, callback);
    };
  }

  #guardedLookup(anyPublic: boolean): LookupFunction {
    const resolve = callbackify((hostname: string) => this.#resolve(hostname, anyPublic));
    return (hostname, options, callback) =>
      resolve(hostname, (error, addresses) => {
        if (error) callback(error, '');
        else if (options.all) callback(null, addresses);
        else callback(null, addresses[0]?.address ?? '', addresses[0]?.family);
      });
  }

  /** One address that is not allowed spoils the name: which one is connected to is not ours to choose. */
  async #resolve(hostname: string, anyPublic: boolean): Promise<LookupAddress[]> {
    const addresses = isLocalName(hostname)
      ? localAddresses.filter(({ address }) => this.#allows(address, anyPublic))
      : await this.#lookup(hostname);
    if (addresses.length === 0 || !addresses.every(({ address }) => this.#allows(address, anyPublic))) {
      throw new TargetRefusedError('target not allowed');
    }
    return [...addresses];
  }

  #allows(address: string, anyPublic: boolean): boolean {
    if (isIP(address) === 0) return false;
    return this.#allowed.includes(address) || (anyPublic && !reservedAddresses.includes(address));
  }
}

function refusal(sentence: string): RejectedError {
  return new RejectedError('target_not_allowed', sentence, { pointer: '/url' });
}

function bareHost(hostname: string): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
}

/** RFC 6761 §6.3: these names always mean the machine itself, and no resolver is asked. */
function isLocalName(host: string): boolean {
  return /(^|\.)localhost\.?$/i.test(host);
}

const localAddresses: readonly LookupAddress[] = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
];

function portOf(port: string, protocol: string): number {
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
}

function isWebPort(port: number): boolean {
  return port === 80 || port === 443 || (port >= 8000 && port <= 9000);
}

import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';
import { TLSSocket } from 'node:tls';
import { RejectedError } from '../base/errors.ts';
import type { ProxyTrust } from './ports.ts';

/** Who asks and under which name, as far as that can be believed. */
export interface Client {
  readonly address: string | undefined;
  /** The name under which the gateway was asked for. */
  readonly host: string | undefined;
  readonly scheme: 'http' | 'https' | null;
  /** The path below which a proxy shows the gateway and which it takes away on the way here; "" for none. */
  readonly prefix: string;
  /** Whether `Forwarded` or any `X-Forwarded-*` header is there, believed or not. */
  readonly isForwarded: boolean;
}

/** What a request's headers say of the way it took, nearest hop last. */
interface Way {
  readonly addresses: readonly string[];
  readonly schemes: readonly string[];
  readonly hosts: readonly string[];
}

/**
 * Reads who asks. From a trusted proxy it is the right-most address of `X-Forwarded-For` that is not a trusted proxy
 * itself: everything further left was written by strangers. `Forwarded` (RFC 7239) is read where there is no
 * `X-Forwarded-For`; a proxy that sets one of the two passes on the other as it came, so both are never mixed. From any
 * other address none of it counts. Throws when a trusted proxy is no address or network.
 */
export function createClientReader(trust: ProxyTrust): (request: IncomingMessage) => Client {
  const trusted = trust.trustProxy ? networks(trust.trustedProxies) : null;
  return (request) => {
    const { headers, socket } = request;
    const isForwarded = Object.keys(headers).some((name) => name === 'forwarded' || name.startsWith('x-forwarded-'));
    const direct: Client = {
      address: socket.remoteAddress,
      host: headers.host,
      scheme: socket instanceof TLSSocket ? 'https' : null,
      prefix: '',
      isForwarded,
    };
    if (!trusted || !isForwarded || !isIn(trusted, socket.remoteAddress)) return direct;
    const way =
      headers['x-forwarded-for'] === undefined && headers.forwarded ? rfc7239(headers.forwarded) : asX(headers);
    let address = socket.remoteAddress;
    let hops = 0;
    while (hops < way.addresses.length && isIn(trusted, address)) {
      const next = addressOf(way.addresses[way.addresses.length - 1 - hops]);
      // An obfuscated or unknown hop: nobody beyond it can be told.
      if (next === null) break;
      address = next;
      hops++;
    }
    const scheme = atHop(way.schemes, hops)?.toLowerCase();
    const host = atHop(way.hosts, hops);
    const prefix = listOf(headers['x-forwarded-prefix']).at(-1)?.replace(/\/$/, '') ?? '';
    return {
      address,
      host: host !== undefined && /^[\w.:[\]-]+$/.test(host) ? host : direct.host,
      scheme: scheme === 'http' || scheme === 'https' ? scheme : direct.scheme,
      prefix: /^(\/[A-Za-z0-9._~-]+)+$/.test(prefix) ? prefix : '',
      isForwarded,
    };
  };
}

function asX(headers: IncomingMessage['headers']): Way {
  return {
    addresses: listOf(headers['x-forwarded-for']),
    schemes: listOf(headers['x-forwarded-proto']),
    hosts: listOf(headers['x-forwarded-host']),
  };
}

/** RFC 7239 section 4: elements by comma, parameters by semicolon, values as tokens or quoted. */
function rfc7239(header: string): Way {
  const addresses: string[] = [];
  const schemes: string[] = [];
  const hosts: string[] = [];
  for (const element of header.match(/(?:"(?:\\.|[^"\\])*"|[^,"])+/g) ?? []) {
    const pairs = new Map<string, string>();
    for (const [, name = '', quoted, token = ''] of element.matchAll(/([\w-]+)=(?:"((?:\\.|[^"\\])*)"|([^\s;,"]+))/g)) {
      pairs.set(name.toLowerCase(), quoted?.replaceAll(/\\(.)/g, '$1') ?? token);
    }
    addresses.push(pairs.get('for') ?? 'unknown');
    schemes.push(pairs.get('proto') ?? '');
    hosts.push(pairs.get('host') ?? '');
  }
  return { addresses, schemes, hosts };
}

function listOf(header: string | readonly string[] | undefined): readonly string[] {
  const text = typeof header === 'string' ? header : (header?.join(',') ?? '');
  return text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean);
}

/** What the proxy at which the client arrived wrote; the only value there is where each proxy overwrites the last. */
function atHop(values: readonly string[], hops: number): string | undefined {
  return values[Math.max(0, values.length - Math.max(hops, 1))];
}

/** `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]:4711`; null for `unknown` and `_hidden`. */
function addressOf(node: string): string | null {
  const [, bracketed, plain] = /^(?:\[([^\]]+)\](?::\d+)?|([^:]+)(?::\d+)?)$/.exec(node) ?? [];
  const address = bracketed ?? plain ?? node;
  return isIP(address) === 0 ? null : address;
}

function networks(entries: readonly string[]): BlockList {
  const list = new BlockList();
  for (const entry of entries) {
    const [address = '', bits] = entry.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    try {
      if (bits === undefined) list.addAddress(address, family);
      else list.addSubnet(address, Number(bits), family);
    } catch (error) {
      const detail = `http.trustedProxies: "${entry}" is neither an address nor a network such as 10.0.0.0/8`;
      throw new RejectedError('parameter_invalid', detail, { cause: error });
    }
  }
  return list;
}

function isIn(list: BlockList, address: string | undefined): boolean {
  const family = isIP(address ?? '');
  return address !== undefined && family !== 0 && list.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

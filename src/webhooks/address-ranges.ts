import { BlockList, isIP } from 'node:net';
import { RejectedError } from '../base/errors.ts';

/**
 * What is not the public internet, from the IANA special-purpose registries. IPv6 is turned round: only 2000::/3 is
 * given out, so everything else is listed in three strokes (loopback, mapped IPv4, NAT64, unique local, link-local,
 * multicast …), and then the parts of 2000::/3 that lead elsewhere.
 */
const reservedRanges = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/3',
  '::/3',
  '4000::/2',
  '8000::/1',
  // Teredo and other protocol assignments.
  '2001::/23',
  '2001:db8::/32',
  // 6to4 carries an IPv4 address.
  '2002::/16',
  '3fff::/20',
];

/** A set of addresses made of CIDR ranges. */
export class AddressRanges {
  // Apart, because one list takes an IPv4 address for its mapped IPv6 form and would find it in `::/3`.
  readonly #v4 = new BlockList();
  readonly #v6 = new BlockList();
  readonly isEmpty: boolean;

  /** Throws `RejectedError` (`parameter_invalid`) naming the first range that is not a CIDR range or an address. */
  constructor(ranges: readonly string[]) {
    this.isEmpty = ranges.length === 0;
    for (const range of ranges) this.#add(range.trim());
  }

  /** Whether the set holds `address`. IPv4 inside IPv6 (`::ffff:127.0.0.1`) counts as the IPv4 address. */
  includes(address: string): boolean {
    // A zone (`fe80::1%eth0`) says by which interface, not where.
    const [bare = ''] = address.split('%', 1);
    if (isIP(bare) === 4) return this.#v4.check(bare, 'ipv4');
    return this.#v6.check(bare, 'ipv6') || this.#v4.check(bare, 'ipv6');
  }

  #add(range: string): void {
    const [address = '', prefix, ...rest] = range.split('/');
    const version = isIP(address);
    const bits = version === 6 ? 128 : 32;
    const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN;
    if (version === 0 || address.includes('%') || rest.length > 0 || !(length <= bits)) {
      throw new RejectedError(
        'parameter_invalid',
        `"${range}" is not a range of addresses; write for example 192.168.0.0/16, fd00::/8 or 127.0.0.1`,
      );
    }
    if (version === 6) this.#v6.addSubnet(address, length, 'ipv6');
    else this.#v4.addSubnet(address, length, 'ipv4');
  }
}

/** Loopback, private, link-local, multicast, translated and otherwise reserved addresses. */
export const reservedAddresses = new AddressRanges(reservedRanges);

import { assert, ipV4, ipV6, property } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AddressRanges, reservedAddresses } from '../../src/webhooks/address-ranges.ts';
import { TargetGuard } from '../../src/webhooks/target-guard.ts';

const closed = new TargetGuard({ allowTargets: [] });
const open = new TargetGuard({ allowTargets: ['127.0.0.0/8', 'fd00::/8', '10.1.2.3'] });

describe('a webhook target at registration', () => {
  it.each([
    'https://example.org/hook',
    'http://example.org',
    'http://93.184.216.34/hook?a=b',
    'https://[2606:4700:4700::1111]/hook',
    'http://example.org:8080/',
    'http://example.org:9000/',
    'https://notlocalhost/',
  ])('%s is accepted', (url) => {
    expect(closed.checkTarget(url).href).toBe(new URL(url).href);
  });

  it.each([
    'http://127.0.0.1/',
    'http://10.0.0.1/',
    'http://192.168.1.1/',
    'http://169.254.169.254/latest/meta-data',
    'http://100.64.1.1/',
    'http://[::1]/',
    'http://[fd12::1]/',
    'http://localhost/',
    'http://LOCALHOST./',
    'http://a.localhost/',
    'http://0x7f.1/',
  ])('%s is refused with a sentence that names webhooks.allowTargets', (url) => {
    expect(() => closed.checkTarget(url)).toThrow(
      expect.objectContaining({
        code: 'target_not_allowed',
        pointer: '/url',
        message: expect.stringContaining('webhooks.allowTargets'),
      }),
    );
  });

  it.each(['ftp://example.org/', 'file:///etc/passwd', 'javascript:alert(1)', '/hook', '', 'http://', 'example.org'])(
    '%j is refused because it is not http or https',
    (url) => {
      expect(() => closed.checkTarget(url)).toThrow(/http or https/);
    },
  );

  it.each(['https://user:secret@example.org/', 'https://user@example.org/'])(
    '%s is refused because it carries a user, and the sentence does not repeat it',
    (url) => {
      expect(() => closed.checkTarget(url)).toThrow(/^a webhook URL carries no user name or password/);
    },
  );

  it.each([22, 25, 1883, 5432, 7999, 9001, 65_535])('port %i of a public address is refused', (port) => {
    expect(() => closed.checkTarget(`http://93.184.216.34:${port}/`)).toThrow(/port .* webhooks\.allowTargets/);
    expect(() => closed.checkTarget(`http://example.org:${port}/`)).toThrow(/port .* webhooks\.allowTargets/);
    expect(() => open.checkTarget(`http://93.184.216.34:${port}/`)).toThrow(/port .* webhooks\.allowTargets/);
  });

  it('in an allowed range is accepted on any port, and the next address is not', () => {
    for (const host of ['127.0.0.1', '127.8.9.1', '[::ffff:127.0.0.1]', 'localhost', '[fd00::7]', '10.1.2.3']) {
      expect(open.checkTarget(`http://${host}:1/`).port).toBe('1');
    }
    expect(() => open.checkTarget('http://10.1.2.4/')).toThrow(/private or reserved/);
  });
});

describe('address ranges', () => {
  it('call neither documentation nor any private network public, and the public internet reserved never', () => {
    const reserved =
      '0.1.2.3 10.9.9.9 100.127.255.255 127.1.2.3 169.254.0.1 172.31.0.1 192.0.0.9 192.0.2.1 192.168.0.1 198.19.0.1 198.51.100.1 203.0.113.9 224.0.0.1 255.255.255.255 ' +
      ':: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 64:ff9b::808:808 64:ff9b:1::1 100::1 2001::1 2001:db8::1 2002:7f00:1:: 3fff::1 fc00::1 fd00::1 fe80::1 fe80::1%eth0 fec0::1 ff02::1';
    const publicOnes =
      '1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 172.15.0.1 172.32.0.1 192.167.0.1 223.255.255.255 2001:4860:4860::8888 2606:4700:4700::1111 2a00:1450::1';
    expect(reserved.split(' ').filter((address) => !reservedAddresses.includes(address))).toEqual([]);
    expect(publicOnes.split(' ').filter((address) => reservedAddresses.includes(address))).toEqual([]);
  });

  it('of one single address hold that address alone', () => {
    assert(property(ipV4(), (address) => new AddressRanges([address]).includes(address)));
    assert(property(ipV6(), (address) => new AddressRanges([address]).includes(address)));
    assert(property(ipV4(), (address) => address === '1.2.3.4' || !new AddressRanges(['1.2.3.4']).includes(address)));
  });

  it.each([
    '',
    'localhost',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '10.0.0',
    '::/129',
    '10.0.0.0/-1',
    'fe80::%a/64',
  ])('%j is refused by name', (range) => {
    expect(() => new AddressRanges(['10.0.0.0/8', range])).toThrow(`"${range}" is not a range of addresses`);
  });
});

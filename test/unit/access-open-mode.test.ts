import { describe, expect, test } from 'vitest';
import { newKey } from '../../src/access/keys.ts';
import type { AccessPolicy, RequestFacts, Verdict } from '../../src/access/open-mode.ts';
import { isOpenMode, judgeBind, judgeRequest } from '../../src/access/open-mode.ts';
import { seededRandom } from '../../src/base/random.ts';

const { key, record } = newKey(seededRandom(1), { name: 'test', createdAt: '2026-01-01T00:00:00.000Z' });
const stranger = newKey(seededRandom(2), { name: 'other', createdAt: '2026-01-01T00:00:00.000Z' }).key;
const now = Date.UTC(2026, 8, 21);
const open: AccessPolicy = { openMode: true, keys: [], corsOrigins: [], now, device: () => null };
const closed: AccessPolicy = {
  openMode: false,
  keys: [record],
  corsOrigins: ['https://grafana.example/'],
  now,
  device: () => null,
};

function facts(parts: Partial<RequestFacts>): RequestFacts {
  return {
    method: 'GET',
    remoteAddress: '192.0.2.7',
    scheme: null,
    host: '127.0.0.1:8080',
    origin: undefined,
    authorization: undefined,
    contentType: undefined,
    forwarded: false,
    isUpgrade: false,
    isPublic: false,
    scope: 'read',
    forDevices: false,
    ...parts,
  };
}

const outcome = (verdict: Verdict): string => (verdict.allowed ? 'allowed' : verdict.code);
const inOpenMode = (parts: Partial<RequestFacts>): string => outcome(judgeRequest(facts(parts), open));
const withKeys = (parts: Partial<RequestFacts>): string => outcome(judgeRequest(facts(parts), closed));

/** The sentence with which a key is refused. */
function detail(text: string): string {
  const verdict = judgeRequest(facts({ authorization: `Bearer ${text}` }), closed);
  return verdict.allowed ? '' : verdict.detail;
}

describe('in open mode', () => {
  test.each([
    'localhost',
    'LocalHost:8080',
    '127.0.0.1',
    '127.0.0.1:1',
    '127.255.3.4:80',
    '[::1]',
    '[::1]:8080',
    '[0:0:0:0:0:0:0:1]',
  ])('Host %s is served', (host) => {
    expect(inOpenMode({ host })).toBe('allowed');
  });

  test.each([
    undefined,
    '',
    'example.com',
    'example.com:8080',
    '192.168.1.2:8080',
    '0.0.0.0',
    '128.0.0.1',
    '127.0.0.1.nip.io',
    'localhost.example.com',
    'notlocalhost',
    '127.1',
    '2130706433',
    '0x7f.0.0.1',
    '0177.0.0.1',
    '127.0.0.1@example.com',
    'example.com#localhost',
    '127.0.0.1:8080:80',
    '[::2]',
    '[::]',
    '::1',
    '[::1',
    'localhost ',
    'localhost:port',
    'localhost,example.com',
  ])('Host %s is refused', (host) => {
    expect(inOpenMode({ host })).toBe('host_not_allowed');
  });

  test.each([
    ['http://127.0.0.1:8080', '127.0.0.1:8080'],
    ['https://localhost:8443', 'localhost:8443'],
    ['http://localhost', 'localhost:80'],
    ['http://localhost:8080', 'LOCALHOST:8080'],
    ['http://[::1]:8080', '[::1]:8080'],
  ])('a page of %s may ask %s', (origin, host) => {
    expect(inOpenMode({ origin, host })).toBe('allowed');
  });

  test.each([
    ['https://example.com', '127.0.0.1:8080'],
    ['http://127.0.0.1:3000', '127.0.0.1:8080'],
    ['http://localhost:8080', '127.0.0.1:8080'],
    ['null', '127.0.0.1:8080'],
    ['', '127.0.0.1:8080'],
    ['file://', 'localhost'],
    ['chrome-extension://127.0.0.1:8080', '127.0.0.1:8080'],
    ['http://127.0.0.1:8080@example.com', '127.0.0.1:8080'],
    ['http://127.0.0.1:8080/page', '127.0.0.1:8080'],
    ['http://127.0.0.1:8080, http://example.com', '127.0.0.1:8080'],
  ])('a page of "%s" may not ask %s, neither over HTTP nor by an upgrade nor for what is public', (origin, host) => {
    expect(inOpenMode({ origin, host })).toBe('origin_not_allowed');
    expect(inOpenMode({ origin, host, isUpgrade: true })).toBe('origin_not_allowed');
    expect(inOpenMode({ origin, host, isPublic: true })).toBe('origin_not_allowed');
  });

  test('an allow-list for pages elsewhere needs a key to go with it', () => {
    const request = facts({ origin: 'https://grafana.example' });
    expect(outcome(judgeRequest(request, { ...open, corsOrigins: ['https://grafana.example'] }))).toBe(
      'origin_not_allowed',
    );
  });

  test('a forwarded request is refused', () => {
    expect(inOpenMode({ forwarded: true })).toBe('proxy_not_allowed');
  });

  test.each(['application/json', 'Application/JSON; charset=utf-8', 'application/x-ndjson'])(
    'a write may carry %s',
    (contentType) => {
      expect(inOpenMode({ method: 'POST', contentType })).toBe('allowed');
    },
  );

  test.each([
    undefined,
    '',
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data',
    'application/jsonp',
  ])('a write may not carry %s', (contentType) => {
    for (const method of ['POST', 'PUT', 'patch']) {
      expect(inOpenMode({ method, contentType })).toBe('unsupported_media_type');
    }
  });

  test('a DELETE, which no page can send unasked, needs no content type', () => {
    expect(inOpenMode({ method: 'DELETE' })).toBe('allowed');
  });
});

describe('with keys', () => {
  const authorization = `Bearer ${key}`;

  test('the key lets in under any Host and through a proxy', () => {
    expect(withKeys({ authorization })).toBe('allowed');
    expect(withKeys({ authorization, host: 'telemetry.example', forwarded: true, method: 'POST' })).toBe('allowed');
    expect(withKeys({ authorization: `bearer  ${key}` })).toBe('allowed');
  });

  test.each([
    undefined,
    '',
    'Bearer',
    key,
    `Basic ${key}`,
    `Bearer ${stranger}`,
    `Bearer ${key}x`,
    `Bearer ${key} x`,
    'Bearer hunter2',
  ])('Authorization "%s" does not', (authorization) => {
    expect(withKeys({ authorization })).toBe('unauthorized');
    expect(withKeys({ authorization, isUpgrade: true })).toBe('unauthorized');
  });

  test('a mistyped key is told from an unknown one, and neither answer repeats it', () => {
    const typo = key.slice(0, -1) + (key.endsWith('a') ? 'b' : 'a');
    expect(detail(typo)).toContain('mistyped');
    expect(detail(stranger)).toContain('unknown');
    expect(detail(typo) + detail(stranger)).not.toMatch(/pulse_\w{8}/);
  });

  test('what is public needs no key but still no foreign page', () => {
    expect(withKeys({ isPublic: true })).toBe('allowed');
    expect(withKeys({ isPublic: true, origin: 'https://example.com' })).toBe('origin_not_allowed');
  });

  test('pages of this host and of listed origins may ask, others and "null" may not', () => {
    const host = 'telemetry.example';
    expect(withKeys({ authorization, host, origin: 'https://telemetry.example' })).toBe('allowed');
    expect(withKeys({ authorization, host, origin: 'https://grafana.example' })).toBe('allowed');
    expect(withKeys({ authorization, host, origin: 'https://grafana.example.evil.example' })).toBe(
      'origin_not_allowed',
    );
    expect(withKeys({ authorization, host, origin: 'null' })).toBe('origin_not_allowed');
    expect(withKeys({ authorization, host: undefined, origin: 'https://telemetry.example' })).toBe(
      'origin_not_allowed',
    );
  });

  test('no keys and no open mode lets nobody in', () => {
    expect(outcome(judgeRequest(facts({ authorization }), { ...open, openMode: false }))).toBe('unauthorized');
  });
});

test('open mode ends with a key, a trusted proxy or a listener that others can reach', () => {
  const first = { hasKeys: false, trustProxy: false, hosts: ['127.0.0.1', '::1', 'localhost'] };
  expect(isOpenMode(first)).toBe(true);
  expect(isOpenMode({ ...first, hasKeys: true })).toBe(false);
  expect(isOpenMode({ ...first, trustProxy: true })).toBe(false);
  for (const host of ['0.0.0.0', '::', '192.168.1.2', 'gateway.local', '']) {
    expect(isOpenMode({ ...first, hosts: ['127.0.0.1', host] })).toBe(false);
  }
});

test('a listener that others can reach does not start without a key, and the reason says how to make one', () => {
  for (const host of ['0.0.0.0', '::', '10.0.0.1', 'gateway.local', '']) {
    const sentence = judgeBind({ option: 'mqtt.host', host, hasKeys: false });
    expect(sentence).toContain('mqtt.host');
    expect(sentence).toContain('pulsegate keys create');
    expect(judgeBind({ option: 'mqtt.host', host, hasKeys: true })).toBeNull();
  }
  for (const host of ['127.0.0.1', '::1', 'localhost', '127.9.9.9']) {
    expect(judgeBind({ option: 'http.host', host, hasKeys: false })).toBeNull();
  }
});

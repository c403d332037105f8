import { beforeEach, describe, expect, it } from 'vitest';
import { DeviceBook } from '../../src/access/device-book.ts';
import { ProfileDraft } from '../../src/contract/profile.ts';
import type { DeviceRecord, Provisioned } from '../../src/domain/device.ts';
import type { Profile } from '../../src/domain/profile.ts';
import type { Registration } from '../../src/domain/registration.ts';
import { FakeClock } from '../support/fake-clock.ts';

let registrations: Map<string, Registration>;
let profiles: Profile[];
let devices: Map<string, DeviceRecord>;
let hasKeys: boolean;
let clock: FakeClock;
beforeEach(() => {
  registrations = new Map();
  profiles = [];
  devices = new Map();
  hasKeys = false;
  clock = new FakeClock();
});

function bookOf(autoCreate: 'open' | 'always' | 'never' = 'open', autoCreateMax = 0): DeviceBook {
  const made = new DeviceBook({ decided, devices, hasKeys: () => hasKeys, autoCreate, autoCreateMax, clock });
  made.load(devices.values());
  return made;
}

function decided() {
  return { registrations, profiles };
}

function profile(id: string, parts: object = {}): Profile {
  return { ...ProfileDraft.parse({ id, ...parts }), createdAt: '', updatedAt: '' };
}

function register(book: DeviceBook, id: string, parts: Partial<Registration> = {}): void {
  const blank = { name: '', profile: null, tags: {}, timeZone: null, approval: 'approved', createdAt: '' } as const;
  registrations.set(id, { id, ...blank, updatedAt: '', ...parts });
  book.registrationsChanged([id]);
}

function unregister(book: DeviceBook, id: string): void {
  registrations.delete(id);
  book.registrationsChanged([id]);
}

/** A commit with the first reading of a device, or what else makes it exist. */
function seen(book: DeviceBook, device: string, provisioned: Provisioned | null = null): void {
  const blank = { status: null, statusAt: null, statusCause: null, attributes: {}, clockCorrected: 0 };
  devices.set(device, { device, firstSeen: 1, lastSeen: 1, ...blank, provisioned });
  const deviceFacts = provisioned ? [{ device, at: 1, provisioned }] : [];
  book.apply({ newSeries: [{ id: 1, device, metric: 'x' }], deviceFacts, forgottenDevices: [] });
}

function forget(book: DeviceBook, device: string): void {
  devices.delete(device);
  book.apply({ newSeries: [], deviceFacts: [], forgottenDevices: [device] });
}

const code = (book: DeviceBook, device: string): string | null => {
  const { refusal } = book.terms(device);
  // The same is said to a connection, but who waits for approval may connect.
  const said = refusal?.code === 'device_pending' ? null : (refusal?.code ?? null);
  expect(book.refusal(device)?.code ?? null).toBe(said);
  return refusal?.code ?? null;
};

describe('the device book', () => {
  it('answers with the same frozen object until something it follows from changes', () => {
    profiles = [profile('tracker', { dialect: 'senml' })];
    const book = bookOf();
    register(book, 'a', { profile: 'tracker' });
    register(book, 'b');
    const [a, b] = [book.terms('a'), book.terms('b')];
    expect([a.dialect, b.dialect, Object.isFrozen(a)]).toEqual(['senml', 'native', true]);
    register(book, 'b', { name: 'renamed' });
    expect(book.terms('a')).toBe(a);
    profiles = [profile('tracker', { dialect: 'influx' })];
    book.changed();
    expect(book.terms('a').dialect).toBe('influx');
    register(book, 'a', { profile: null });
    expect(book.terms('a').dialect).toBe('native');
  });

  it('refuses a blocked device, and takes it again as soon as it is approved', () => {
    const book = bookOf();
    register(book, 'a');
    expect(code(book, 'a')).toBeNull();
    register(book, 'a', { approval: 'blocked' });
    expect(code(book, 'a')).toBe('device_blocked');
    register(book, 'a');
    expect(code(book, 'a')).toBeNull();
  });

  it('keeps a device that was provisioned waiting where a person must approve it', () => {
    profiles = [profile('tracker', { dialect: 'senml', gateway: true })];
    const book = bookOf('never');
    const provisioned = { profile: 'tracker', key: 'k', needsApproval: true, at: 1 };
    expect(code(book, 'a')).toBe('device_unknown');
    seen(book, 'a', provisioned);
    expect([code(book, 'a'), book.approvalOf('a')]).toEqual(['device_pending', 'pending']);
    expect(book.isGateway('a')).toBe(false);
    register(book, 'a', { profile: 'tracker' });
    expect([code(book, 'a'), book.approvalOf('a'), book.isGateway('a')]).toEqual([null, 'approved', true]);
    seen(book, 'b', { ...provisioned, needsApproval: false });
    expect([code(book, 'b'), book.terms('b').dialect]).toEqual([null, 'senml']);
  });

  it('lets strangers in while there are no keys, or always, or never', () => {
    const open = bookOf('open');
    expect(code(open, 'a')).toBeNull();
    hasKeys = true;
    open.changed();
    expect(code(open, 'b')).toBe('device_unknown');
    expect(open.terms('b').refusal?.detail).toContain('POST /api/v1/devices');
    // Nothing came of it before the first key was made.
    expect(code(open, 'a')).toBe('device_unknown');
    register(open, 'b');
    expect(code(open, 'b')).toBeNull();
    expect(code(bookOf('always'), 'c')).toBeNull();
    expect(code(bookOf('never'), 'c')).toBe('device_unknown');
  });

  it('goes on taking a device that came by itself before that ended, until it is forgotten', () => {
    const book = bookOf('open');
    expect(code(book, 'a')).toBeNull();
    seen(book, 'a');
    hasKeys = true;
    book.changed();
    expect([code(book, 'a'), book.isKnown('a')]).toEqual([null, true]);
    forget(book, 'a');
    expect([code(book, 'a'), book.isKnown('a')]).toEqual(['device_unknown', false]);
  });

  it('lets in as many strangers as the quota has places, counting those that are on their way', () => {
    const book = bookOf('always', 2);
    expect([code(book, 'a'), code(book, 'b'), code(book, 'c')]).toEqual([null, null, 'device_limit']);
    seen(book, 'a');
    seen(book, 'b');
    expect(code(book, 'c')).toBe('device_limit');
    register(book, 'c');
    expect(code(book, 'c')).toBeNull();
    // Who is registered, too, no longer takes a place; who is no longer registered takes it again.
    register(book, 'a');
    expect(code(book, 'd')).toBeNull();
    seen(book, 'd');
    expect(code(book, 'e')).toBe('device_limit');
    forget(book, 'd');
    expect(code(book, 'e')).toBeNull();
    unregister(book, 'a');
    expect([code(book, 'a'), code(book, 'f')]).toEqual([null, 'device_limit']);
  });

  it('asking whether a device may connect takes no place', () => {
    const book = bookOf('always', 1);
    expect([book.refusal('a'), book.refusal('b')]).toEqual([null, null]);
    expect(code(book, 'b')).toBeNull();
    expect(book.refusal('a')?.code).toBe('device_limit');
  });

  it('gives the place of a device that never came to be to another after a minute', () => {
    const book = bookOf('always', 1);
    expect([code(book, 'a'), code(book, 'b')]).toEqual([null, 'device_limit']);
    clock.advance(60_000);
    expect([code(book, 'b'), code(book, 'a')]).toEqual([null, 'device_limit']);
  });

  it('counts what was there at the start', () => {
    seen(bookOf(), 'a');
    seen(bookOf(), 'b');
    const book = bookOf('always', 2);
    expect([code(book, 'a'), code(book, 'c')]).toEqual([null, 'device_limit']);
  });

  it('asks for the range of each reading only where a profile has one', () => {
    profiles = [
      profile('plain', { metrics: { temperature: { unit: 'Cel' } } }),
      profile('ranged', { metrics: { 'temp*': { max: 5 }, temperature: { min: -40, max: 85 } } }),
    ];
    const book = bookOf();
    register(book, 'a', { profile: 'plain' });
    register(book, 'b', { profile: 'ranged' });
    register(book, 'c', { profile: 'gone' });
    expect([book.terms('a').metric, book.terms('c').metric]).toEqual([null, null]);
    const metric = book.terms('b').metric;
    expect([metric?.('temperature')?.max, metric?.('temp_2')?.max, metric?.('humidity')]).toEqual([85, 5, null]);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RejectedError } from '../../src/base/errors.ts';
import { formatCursor, parseCursor } from '../../src/domain/cursor.ts';
import { attributesMax, withAttributes } from '../../src/domain/device.ts';
import { compileGlob, isGlob } from '../../src/domain/glob.ts';
import { type Value, valueAt, valueKind } from '../../src/domain/reading.ts';
import { ReadingBuilder } from '../../src/domain/reading-builder.ts';
import { isDeviceId, isMetricName } from '../../src/domain/series.ts';
import { isDeviceTopic, parseDeviceTopic, shown } from '../../src/domain/topic.ts';
import { unitOf } from '../../src/domain/unit.ts';

/** The code with which something is refused, or `accepted`. */
function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof RejectedError) return error.code;
    throw error;
  }
  return 'accepted';
}

/** The model of a glob: each alternative as a regular expression. */
function globModel(pattern: string, text: string): boolean {
  return pattern
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .some((part) =>
      new RegExp(`^${part.replaceAll(/[.]/g, '\\.').replaceAll('*', '.*').replaceAll('?', '.')}$`, 's').test(text),
    );
}

describe('a glob', () => {
  // Few letters, so that patterns and texts meet often.
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '-', '.', '1'), maxLength: 12 });
  const part = fc.string({ unit: fc.constantFrom('a', 'b', '-', '.', '1', '*', '*', '?'), minLength: 1, maxLength: 8 });
  const pattern = fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join(','));

  it('matches what its regular expression matches', () => {
    let matched = 0;
    fc.assert(
      fc.property(pattern, text, (glob, candidate) => {
        const matches = compileGlob(glob)(candidate);
        if (matches) matched++;
        expect(matches).toBe(globModel(glob, candidate));
      }),
      { numRuns: 5_000 },
    );
    // Or the property would say little.
    expect(matched).toBeGreaterThan(200);
  });

  it('matches its own text when it has no wildcard, and nothing else', () => {
    fc.assert(
      fc.property(text, text, (one, other) => {
        expect(compileGlob(one)(other)).toBe(one !== '' && one === other);
      }),
    );
  });

  it('takes blanks around commas, and case as it is', () => {
    const glob = compileGlob(' wearable-* , fridge-0? ');
    expect(['wearable-', 'wearable-01', 'fridge-01', 'fridge-0', 'Fridge-01', 'x'].map(glob)).toEqual([
      true,
      true,
      true,
      false,
      false,
      false,
    ]);
  });

  it('that is empty matches nothing', () => {
    expect(['', ' ', ','].map((empty) => compileGlob(empty)('a'))).toEqual([false, false, false]);
  });

  it('is judged without trying every way: a hundred stars over a long text that never fits', () => {
    const glob = compileGlob(`${'a*'.repeat(100)}b`);
    expect(glob('a'.repeat(10_000))).toBe(false);
  });

  it.each([
    ['*', true],
    ['wearable-*,fridge-0?', true],
    ['a , b', true],
    ['', false],
    [',', false],
    ['a,', false],
    ['a b', false],
    ['a/b', false],
    ['a\n', false],
    ['[ab]', false],
    ['a'.repeat(1_025), false],
  ])('%j can be written in a filter: %s', (candidate, accepted) => {
    expect(isGlob(candidate)).toBe(accepted);
  });
});

describe('a cursor', () => {
  it('is read back as it was written', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9]{1,32}$/), fc.maxSafeNat(), (epoch, seq) => {
        expect(parseCursor(formatCursor(epoch, seq))).toEqual({ epoch, seq });
      }),
    );
  });

  const strange = [
    '',
    ':',
    'abc',
    'abc:',
    ':1',
    'abc:-1',
    'abc:1.5',
    'abc:1e3',
    'abc: 1',
    'abc:1 ',
    'abc:1:2',
    'a-b:1',
  ];
  const tooLong = [`${'a'.repeat(33)}:1`, 'abc:9007199254740993', 'abc:99999999999999999'];

  it.each([...strange, ...tooLong, 'abc:１'])('is not %j', (candidate) => {
    expect(refusal(() => parseCursor(candidate))).toBe('cursor_invalid');
  });
});

describe('a name', () => {
  it('of a device is 1 to 64 characters beginning with a letter or digit', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[AZaz09][AZaz09._:-]{0,63}$/), (id) => {
        expect(isDeviceId(id)).toBe(true);
      }),
    );
    const wrong = ['', '.a', '-a', '_a', 'a/b', 'a b', 'a+', 'a#', 'ä', 'a\n', 'a'.repeat(65), '__proto__'];
    expect(wrong.filter(isDeviceId)).toEqual([]);
    expect(isDeviceId('a'.repeat(64))).toBe(true);
  });

  it('of a metric is 1 to 128 characters and may begin with _, but is never __proto__', () => {
    const wrong = ['', '.a', '-a', ':a', 'a/b', 'a b', 'ä', 'a\n', 'a'.repeat(129), '__proto__'];
    expect(wrong.filter(isMetricName)).toEqual([]);
    expect(['_a', 'a.b', 'a:b-c', '0', 'a'.repeat(128), 'constructor'].filter((name) => !isMetricName(name))).toEqual(
      [],
    );
  });

  it('of a metric that everybody knows has a unit, and no other has', () => {
    expect([unitOf('heart_rate'), unitOf('temperature'), unitOf('mood'), unitOf('constructor')]).toEqual([
      '/min',
      'Cel',
      null,
      null,
    ]);
  });
});

/** Attributes `a{from}` to before `a{to}`, all of one value. */
function told(from: number, to: number, value: number): Record<string, number> {
  return Object.fromEntries(Array.from({ length: to - from }, (_, index) => [`a${from + index}`, value]));
}

describe('the attributes of a device', () => {
  it('are what was told last of each', () => {
    expect(withAttributes({ model: 'a', rev: 1 }, { rev: 2, ok: true })).toEqual({ model: 'a', rev: 2, ok: true });
  });

  it('are bounded, though the device makes up names: what was told first goes, what is told now stays', () => {
    let known: Readonly<Record<string, Value>> = {};
    for (let from = 0; from < attributesMax; from += 50) known = withAttributes(known, told(from, from + 50, 1));
    expect(Object.keys(known)).toHaveLength(attributesMax);
    known = withAttributes(known, { ...told(0, 10, 2), ...told(1_000, 1_050, 2) });
    expect(known).toEqual({ ...told(60, attributesMax, 1), ...told(0, 10, 2), ...told(1_000, 1_050, 2) });
  });
});

describe('a topic', () => {
  it.each([
    ['devices/a/telemetry', { kind: 'telemetry', device: 'a', metric: null }],
    ['devices/a/telemetry/temperature', { kind: 'telemetry', device: 'a', metric: 'temperature' }],
    ['devices/a/telemetry/room/1/co2', { kind: 'telemetry', device: 'a', metric: 'room.1.co2' }],
    ['devices/a:b.c-d_e/status', { kind: 'status', device: 'a:b.c-d_e' }],
    ['devices/a/attributes', { kind: 'attributes', device: 'a' }],
    ['devices/a/commands/1', { kind: 'notice', device: 'a' }],
    ['devices/a/throttle', { kind: 'notice', device: 'a' }],
    ['devices/a/provision/reply', { kind: 'notice', device: 'a' }],
    ['devices/a/commands/1/reply', { kind: 'reply', device: 'a', command: '1' }],
  ])('%s is understood', (topic, expected) => {
    expect(parseDeviceTopic(topic)).toEqual(expected);
  });

  it.each([
    ['devices/', 'device_invalid'],
    ['devices//telemetry', 'device_invalid'],
    ['devices/ /telemetry', 'device_invalid'],
    ['devices/-a/telemetry', 'device_invalid'],
    [`devices/${'a'.repeat(65)}/telemetry`, 'device_invalid'],
    ['devices/a', 'topic_invalid'],
    ['devices/a/', 'topic_invalid'],
    ['devices/a/Telemetry', 'topic_invalid'],
    ['devices/a/status/now', 'topic_invalid'],
    ['devices/a/attributes/', 'topic_invalid'],
    ['devices/a/commands', 'topic_invalid'],
    ['devices/a/commands/', 'topic_invalid'],
    ['devices/a/commands/1/answer', 'topic_invalid'],
    ['devices/a/commands/1/reply/2', 'topic_invalid'],
    ['devices/a/telemetry/', 'metric_invalid'],
    ['devices/a/telemetry/a//b', 'metric_invalid'],
    ['devices/a/telemetry/a b', 'metric_invalid'],
    ['devices/a/telemetry/__proto__', 'metric_invalid'],
    [`devices/a/telemetry/${'a'.repeat(129)}`, 'metric_invalid'],
  ])('%s is refused as %s', (topic, code) => {
    expect(refusal(() => parseDeviceTopic(topic))).toBe(code);
  });

  it('belongs to the native dialect exactly when it is under devices/', () => {
    const topics = ['devices/', 'devices/x', 'devices', 'Devices/x', '/devices/x', 'zigbee2mqtt/x', ''];
    expect(topics.map(isDeviceTopic)).toEqual([true, true, false, false, false, false, false]);
  });

  it('whatever it is, is understood or refused', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (rest) => {
        expect(['accepted', 'device_invalid', 'topic_invalid', 'metric_invalid']).toContain(
          refusal(() => parseDeviceTopic(`devices/${rest}`)),
        );
      }),
    );
  });

  it('is shown without control characters and bounded', () => {
    expect(shown('a\u0000b\u001b[31m\u007f')).toBe('a\\x00b\\x1b[31m\\x7f');
    expect(shown('x'.repeat(201))).toBe(`${'x'.repeat(200)}…`);
  });
});

describe('the reading builder', () => {
  const value = fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.boolean(),
    fc.string({ maxLength: 8 }),
  );
  const rows = fc.array(
    fc.tuple(fc.integer({ min: 1, max: 2 ** 32 - 1 }), fc.integer({ min: 1e11, max: 8.64e15 }), value),
    { maxLength: 300 },
  );

  it('gives back row by row what was added, whatever its first size', () => {
    fc.assert(
      fc.property(rows, fc.integer({ min: 0, max: 100 }), (added, capacity) => {
        const builder = new ReadingBuilder(capacity);
        for (const [series, time, one] of added) builder.add(series, time, one);
        expect(builder.count).toBe(added.length);
        const columns = builder.build();
        expect(columns.count).toBe(added.length);
        const read = added.map((_, row) => [columns.series[row], columns.times[row], valueAt(columns, row)]);
        expect(read).toEqual(added);
      }),
    );
  });

  it('is empty after it has built, and what it built stays', () => {
    const builder = new ReadingBuilder();
    builder.add(1, 1e12, 'on the way');
    const built = builder.build();
    builder.add(2, 2e12, true);
    expect([built.count, valueAt(built, 0), built.kinds[0]]).toEqual([1, 'on the way', valueKind.text]);
    const next = builder.build();
    expect([next.count, next.series[0], valueAt(next, 0)]).toEqual([1, 2, true]);
  });
});

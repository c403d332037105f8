import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Rule } from '../../src/contract/rule.ts';
import type { Delivery } from '../../src/contract/webhook.ts';
import { deviceFilters } from '../../src/dashboard/device-filter.ts';
import { tallyDeliveries } from '../../src/dashboard/delivery-tally.ts';
import { globMatches } from '../../src/dashboard/glob-match.ts';
import { compareMetrics, keyMetric } from '../../src/dashboard/key-metric.ts';
import { sumOf } from '../../src/dashboard/metrics-text.ts';
import { RateMeter } from '../../src/dashboard/rate-meter.ts';
import { deviceHash, parseRoute } from '../../src/dashboard/route.ts';
import { thresholdLines, valueExtent } from '../../src/dashboard/threshold-line.ts';
import { agoText, spanText } from '../../src/dashboard/time-text.ts';
import { metricText, unitText } from '../../src/dashboard/unit-text.ts';
import { booleanText, percentText, rateText, valueText } from '../../src/dashboard/value-text.ts';
import { compileGlob, isGlob } from '../../src/domain/glob.ts';

describe('filters', () => {
  test('match on the page exactly as in the gateway', () => {
    const part = fc.string({ unit: fc.constantFrom('a', 'b', '-', '*', '?'), maxLength: 6 });
    const pattern = fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join(','));
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '-'), maxLength: 8 });
    fc.assert(
      fc.property(pattern, text, (pattern, text) => {
        expect(globMatches(pattern, text)).toBe(compileGlob(pattern)(text));
      }),
      { numRuns: 2_000 },
    );
  });

  test('a list of devices becomes filters that the gateway takes and that together name each device once', () => {
    const device = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/);
    fc.assert(
      fc.property(fc.uniqueArray(device, { maxLength: 200 }), (devices) => {
        const filters = deviceFilters(devices);
        expect(filters.every(isGlob)).toBe(true);
        expect(filters.flatMap((filter) => filter.split(','))).toEqual(devices);
      }),
    );
  });
});

describe('routes', () => {
  test('a link to any device leads to that device and range', () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 1, maxLength: 64 }),
        fc.constantFrom('5m', '24h' as const),
        (device, range) => {
          expect(parseRoute(deviceHash(device, range))).toEqual({ page: 'device', device, range });
        },
      ),
    );
  });

  test('no hash is the overview, a strange one is unknown, a strange range is the shortest', () => {
    expect(parseRoute('')).toEqual({ page: 'overview' });
    expect(parseRoute('#/')).toEqual({ page: 'overview' });
    expect(parseRoute('#/alerts')).toEqual({ page: 'alerts', alert: null });
    expect(parseRoute('#/alerts/alr_1')).toEqual({ page: 'alerts', alert: 'alr_1' });
    expect(parseRoute('#/webhooks/wh_1')).toMatchObject({ page: 'unknown' });
    expect(parseRoute('#/devices/')).toEqual({ page: 'devices' });
    expect(parseRoute('#/nowhere')).toMatchObject({ page: 'unknown' });
    expect(parseRoute('#/devices/a/b')).toMatchObject({ page: 'unknown' });
    expect(parseRoute('#/devices/%zz')).toMatchObject({ page: 'unknown' });
    expect(parseRoute('#/devices/a?range=9y')).toEqual({ page: 'device', device: 'a', range: '5m' });
  });
});

describe('values', () => {
  test('keep the digits that matter, with thousands apart and a true minus', () => {
    expect([72, 21.44, 0.0421, 1_234_567, 12_345.6, -3.25, 0, 104.26].map((value) => valueText(value))).toEqual([
      '72',
      '21.4',
      '0.042',
      '1\u202f234\u202f567',
      '12\u202f346',
      '−3.3',
      '0',
      '104.3',
    ]);
    expect([5e-324, 1.5e12].map((value) => valueText(value))).toEqual(['4.94e-324', '1.50e+12']);
    expect([true, false, 'resting', null, undefined].map((value) => valueText(value))).toEqual([
      'on',
      'off',
      'resting',
      '–',
      '–',
    ]);
  });

  test('a whole number among fractions keeps its decimals', () => {
    expect([33, 0, -2, 1_000].map((value) => valueText(value, true))).toEqual(['33.0', '0.0', '−2.0', '1\u202f000']);
  });

  test('a door is open or closed, an unknown switch on or off', () => {
    expect([booleanText('door', true), booleanText('door', false), booleanText('lamp', true)]).toEqual([
      'open',
      'closed',
      'on',
    ]);
  });

  test('only the whole is 100 %', () => {
    expect([percentText(1), percentText(0.99999), percentText(0.5), percentText(0)]).toEqual([
      '100%',
      '99.9%',
      '50.0%',
      '0.0%',
    ]);
  });

  test('slow rates show a decimal, fast ones do not', () => {
    expect([0, 0.25, 9.94, 9.96, 48.4, 5_000].map((rate) => rateText(rate))).toEqual([
      '0',
      '0.3',
      '9.9',
      '10',
      '48',
      '5\u202f000',
    ]);
  });

  test('units read as people write them', () => {
    expect(unitText('Cel', 'temperature')).toBe('°C');
    expect(unitText('/min', 'heart_rate')).toBe('bpm');
    expect(unitText('/min', 'respiration_rate')).toBe('/min');
    expect(unitText(null, 'x')).toBe('');
    expect(metricText('skin_temperature')).toBe('Skin temperature');
    expect(metricText('spo2')).toBe('SpO₂');
  });

  test('ages change unit where it matters', () => {
    expect([500, 12_000, 179_000, 5 * 3_600_000, 72 * 3_600_000].map((ms) => agoText(ms))).toEqual([
      'just now',
      '12 s ago',
      '2 min ago',
      '5 h ago',
      '3 d ago',
    ]);
    expect(spanText(-5)).toBe('0 s');
  });
});

describe('the overview', () => {
  test('adds the samples of one counter and of no other whose name begins alike', () => {
    const exposition = [
      '# HELP pulsegate_readings_total Readings by what became of them',
      '# TYPE pulsegate_readings_total counter',
      'pulsegate_readings_total{disposition="stored"} 1200',
      'pulsegate_readings_total{disposition="identical"} 34 1790000000000',
      'pulsegate_readings_total_created{disposition="stored"} 9999',
      'pulsegate_commits_total 7',
    ].join('\n');
    expect(sumOf(exposition, 'pulsegate_readings_total')).toBe(1_234);
    expect(sumOf(exposition, 'pulsegate_readings_total', { disposition: ['stored'] })).toBe(1_200);
    expect(sumOf(exposition, 'pulsegate_commits_total')).toBe(7);
    expect(sumOf(exposition, 'pulsegate_absent_total')).toBeNull();
  });

  test('a counter that went back with a restart begins anew and is never a negative rate', () => {
    const meter = new RateMeter(3);
    meter.read(100, 1_000);
    expect(meter.rates).toEqual([]);
    meter.read(160, 3_000);
    meter.read(10, 5_000);
    meter.read(20, 7_000);
    expect(meter.rates).toEqual([30, 5]);
    for (let at = 9_000; at < 20_000; at += 2_000) meter.read(at, at);
    expect(meter.rates).toHaveLength(3);
  });

  test('a device is stood for by its most telling number, and by something else only when it has none', () => {
    expect(keyMetric(numbers(['battery', 'heart_rate', 'steps']))).toBe('heart_rate');
    expect(keyMetric(numbers(['zeta', 'alpha']))).toBe('alpha');
    expect(keyMetric([{ metric: 'door', value: true }])).toBe('door');
    expect(keyMetric([{ metric: 'door', value: true }, ...numbers(['zeta'])])).toBe('zeta');
    expect(keyMetric([])).toBeNull();
    expect(['steps', 'temperature', 'battery', 'heart_rate'].toSorted(compareMetrics)).toEqual([
      'heart_rate',
      'temperature',
      'battery',
      'steps',
    ]);
  });

  test('webhook success counts what was decided; pending and cancelled deliveries are neither', () => {
    expect(tallyDeliveries(deliveriesIn('pending', 'cancelled')).success).toBeNull();
    expect(tallyDeliveries(deliveriesIn('succeeded', 'succeeded', 'succeeded', 'failed', 'pending'))).toEqual({
      succeeded: 3,
      failed: 1,
      pending: 1,
      success: 0.75,
    });
  });
});

describe('threshold lines', () => {
  const rule: Rule = {
    id: 'rule_1',
    name: 'Too warm',
    device: 'fridge-*',
    metric: 'temperature',
    condition: { type: 'threshold', above: 8, clearBelow: 6 },
    for: '5s',
    severity: 'warning',
    enabled: true,
    createdAt: '2026-11-21T09:00:00.000Z',
    updatedAt: '2026-11-21T09:00:00.000Z',
  };

  test('are those of the enabled rules that watch the series', () => {
    const below = { ...rule, id: 'rule_2', device: '*', condition: { type: 'threshold', below: 0 } } as const;
    const rules = [rule, { ...rule, id: 'rule_3', enabled: false }, below];
    expect(thresholdLines(rules, 'fridge-01', 'temperature')).toEqual([
      { ruleId: 'rule_1', name: 'Too warm', direction: 'above', value: 8, severity: 'warning' },
      { ruleId: 'rule_2', name: 'Too warm', direction: 'below', value: 0, severity: 'warning' },
    ]);
    expect(thresholdLines(rules, 'room-1', 'temperature').map(({ ruleId }) => ruleId)).toEqual(['rule_2']);
    expect(thresholdLines(rules, 'fridge-01', 'humidity')).toEqual([]);
  });

  test('stretch the chart when they are near, and never hide a value', () => {
    const [low, high] = valueExtent(3.9, 4.3, [8]);
    expect(high).toBeGreaterThan(8);
    expect(low).toBeLessThan(3.9);
    const [, far] = valueExtent(3.9, 4.3, [900]);
    expect(far).toBeLessThan(10);
    fc.assert(
      fc.property(
        fc.double({ min: -1e9, max: 1e9, noNaN: true }),
        fc.double({ min: 0, max: 1e6, noNaN: true }),
        fc.array(fc.double({ min: -1e9, max: 1e9, noNaN: true }), { maxLength: 4 }),
        (low, span, thresholds) => {
          const [least, most] = valueExtent(low, low + span, thresholds);
          expect(least).toBeLessThan(low);
          expect(most).toBeGreaterThan(low + span);
        },
      ),
    );
  });
});

function numbers(names: readonly string[]): { metric: string; value: number }[] {
  return names.map((metric) => ({ metric, value: 1 }));
}

function deliveriesIn(...states: Delivery['state'][]): Pick<Delivery, 'state'>[] {
  return states.map((state) => ({ state }));
}

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compileGlob } from '../../src/domain/glob.ts';
import { SeriesFilter } from '../../src/live/series-filter.ts';
import { SeriesSet } from '../../src/live/series-set.ts';

const part = fc.string({ minLength: 1, maxLength: 4, unit: fc.constantFrom('a', 'b', '1') });
const pattern = fc.array(fc.string({ minLength: 1, maxLength: 4, unit: fc.constantFrom('a', 'b', '*', '?') }), {
  minLength: 1,
  maxLength: 3,
});

test('the remembered answer is the answer of the globs, and each series is asked for once', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ device: part, metric: part }), { minLength: 1, maxLength: 40 }),
      pattern,
      pattern,
      fc.array(fc.nat(39), { maxLength: 120 }),
      (series, devices, metrics, asked) => {
        const [device, metric] = [devices.join(), metrics.join()];
        const lookups = new Map<number, number>();
        // Spread out, so that the answers have to grow.
        const directory = {
          series: (id: number) => {
            lookups.set(id, (lookups.get(id) ?? 0) + 1);
            return { id, ...series[id / 97] };
          },
        };
        const filter = new SeriesFilter(directory, device, metric);
        for (const index of asked.map((index) => index % series.length)) {
          const names = series[index];
          const expected = compileGlob(device)(names.device) && compileGlob(metric)(names.metric);
          expect(filter.matches(index * 97)).toBe(expected);
        }
        expect(Math.max(0, ...lookups.values())).toBeLessThanOrEqual(1);
      },
    ),
  );
});

test('a series set says once that a series is new', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(5_000)), (ids) => {
      const set = new SeriesSet();
      const model = new Set<number>();
      for (const id of ids) {
        expect(set.add(id)).toBe(!model.has(id));
        model.add(id);
      }
    }),
  );
});

import { expect, test } from 'vitest';
import { ruleFaults } from '../../src/catalog/rule-faults.ts';
import { webhookFaults } from '../../src/catalog/webhook-faults.ts';

const sound = { device: '*', metric: 'm', for: '0s', condition: { type: 'threshold', above: 30 } } as const;
const pointers = (parts: object): readonly string[] => ruleFaults({ ...sound, ...parts }).map(({ pointer }) => pointer);
const threshold = (parts: object): object => ({ condition: { type: 'threshold', ...parts } });

function webhookPointers(url: string, events: readonly string[]): readonly string[] {
  return webhookFaults({ url, events }).map(({ pointer }) => pointer);
}

test.each([
  [{}],
  [threshold({ above: 30, clearBelow: 30 })],
  [threshold({ above: 30, clearBelow: -5 })],
  [threshold({ below: 0, clearAbove: 0 })],
  [threshold({ below: -15, clearAbove: 4 })],
  [{ device: 'wearable-*, fridge-0?', metric: 'heart_rate' }],
  [{ for: '1h30m' }],
  [{ for: '366d' }],
])('a rule with %j is sound', (parts) => {
  expect(pointers(parts)).toEqual([]);
});

test.each([
  [threshold({}), ['/condition']],
  [threshold({ above: 1, below: 2 }), ['/condition']],
  [threshold({ above: 30, clearBelow: 30.5 }), ['/condition/clearBelow']],
  [threshold({ below: 30, clearAbove: 29.5 }), ['/condition/clearAbove']],
  [threshold({ above: 30, clearAbove: 20 }), ['/condition/clearAbove']],
  [threshold({ below: 30, clearBelow: 20 }), ['/condition/clearBelow']],
  [threshold({ above: Number.POSITIVE_INFINITY }), ['/condition/above']],
  [threshold({ above: 30, clearBelow: Number.NaN }), ['/condition/clearBelow']],
  [{ device: 'a b' }, ['/device']],
  [{ device: ',' }, ['/device']],
  [{ metric: '' }, ['/metric']],
  [{ for: '5' }, ['/for']],
  [{ for: '-5s' }, ['/for']],
  [{ for: '53w' }, ['/for']],
  [{ device: '/', for: 'x', condition: { type: 'threshold' } }, ['/device', '/condition', '/for']],
])('a rule with %j has its faults named, all at once', (parts, expected) => {
  expect(pointers(parts)).toEqual(expected);
});

test('a webhook needs an http URL without credentials and events that exist', () => {
  expect(webhookPointers('https://example.org/hook', ['alert.*'])).toEqual([]);
  expect(webhookPointers('http://127.0.0.1:9000', ['*', 'alert.firing', 'alert.resolved'])).toEqual([]);
  expect(webhookPointers('ftp://example.org', ['alert.*'])).toEqual(['/url']);
  expect(webhookPointers('example.org/hook', ['alert.*'])).toEqual(['/url']);
  expect(webhookPointers('https://user:pass@example.org', ['alert.fired'])).toEqual(['/url', '/events/0']);
});

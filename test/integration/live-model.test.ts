import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Transition } from '../../src/domain/alert.ts';
import { LiveModelClient } from '../support/live-model-client.ts';
import { LiveServer } from '../support/live-server.ts';
import { LiveSource, type SourceReading } from '../support/live-source.ts';

/*
 * Random commits, publishes, disconnects, trims, kills and restores, with clients of every kind that keep their place
 * by the rules of the contract. The bounds are tiny, so that memory, pages and frames end in the middle of everything.
 */
const limits = {
  heartbeatMs: 15,
  flushMinMs: 1,
  recentBytesMax: 1_500,
  pageReadingsMax: 7,
  pagesKept: 2,
  snapshotReadingsMax: 3,
};

const requests = [
  {},
  { device: 'd1' },
  { device: 'd*', metric: 'a,b', shape: 'columns' },
  { metric: '?', mode: 'latest' },
  { device: 'd1,d3', mode: 'latest', shape: 'columns' },
  { topic: 'alerts' },
  { topic: 'alerts', device: 'd2' },
] as const;

const client = fc.nat(requests.length - 1);
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('commit' as const), seed: fc.nat() }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('publish' as const), count: fc.integer({ min: 1, max: 8 }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('disconnect' as const), client }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('connect' as const), client }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('rest' as const), rounds: fc.integer({ min: 1, max: 60 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('trim' as const), keep: fc.nat(30) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('kill' as const), restored: fc.boolean() }) },
);

/** Commits of all sizes, the empty one too, with late, repeated and replaced times; every value is another serial. */
function commitRandomly(source: LiveSource, seed: number): void {
  let state = seed;
  const draw = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  for (let commits = draw(6); commits >= 0; commits--) {
    const readings: SourceReading[] = Array.from({ length: draw(9) }, (_, index) => {
      const serial = source.last * 10 + index;
      const kind = draw(4);
      return {
        device: `d${1 + draw(3)}`,
        metric: 'abc'.charAt(draw(3)),
        time: 1_790_000_000_000 + source.last * 100 - draw(4) * 150,
        value: kind === 0 ? `text "${serial}"` : serial / 10,
      };
    });
    const transitions = Array.from({ length: draw(8) < 2 ? 1 + draw(2) : 0 }, (_, index) =>
      transition(`d${1 + draw(3)}`, source.last * 10 + index),
    );
    source.commit(readings, transitions);
  }
}

/** Fires and resolves in turns, one alert a device at a time. */
function transition(device: string, sequence: number): Transition {
  const isFiring = sequence % 20 < 10;
  const id = `alert-${device}`;
  return {
    id: `t${sequence}`,
    type: isFiring ? 'alert.firing' : 'alert.resolved',
    sequence,
    at: 1_790_000_000_000,
    alert: {
      id,
      rule: { id: 'r', name: 'Too warm' },
      device,
      metric: 'a',
      severity: 'warning',
      state: isFiring ? 'firing' : 'resolved',
      value: 9,
      threshold: 8,
      startedAt: 1_790_000_000_000,
      firedAt: 1_790_000_000_000,
      resolvedAt: isFiring ? null : 1_790_000_000_000,
      reason: isFiring ? null : 'cleared',
    },
  };
}

test('every client ends with exactly what was committed, or was told the gap', async () => {
  const totals = { segments: 0, recovered: 0, gaps: 0 };
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), async (steps) => {
      const source = new LiveSource();
      let server = await LiveServer.start(source, { limits });
      const clients = requests.map((request) => new LiveModelClient(source, request));
      try {
        for (const one of clients) await one.connect(server.url);
        for (const action of steps) {
          switch (action.do) {
            case 'commit':
              commitRandomly(source, action.seed);
              break;
            case 'publish':
              for (let count = action.count; count > 0; count--) {
                source.publishNext((batch) => server.hub.publish(batch));
              }
              break;
            case 'disconnect':
              clients[action.client].disconnect();
              break;
            case 'connect':
              // One that is connected does it again, as a browser does that lost its network.
              clients[action.client].disconnect();
              await clients[action.client].connect(server.url);
              break;
            case 'rest':
              for (let round = action.rounds; round > 0; round--) {
                await new Promise((resolve) => {
                  setImmediate(resolve);
                });
              }
              break;
            case 'trim':
              source.trim(source.last - action.keep);
              break;
            case 'kill':
              for (const one of clients) one.disconnect();
              await server.kill();
              // What is in the log is what there is after a restart, heard of or not.
              while (source.publishNext(() => {}));
              if (action.restored) source.epoch = `e${Number(source.epoch.slice(1)) + 1}`;
              server = await LiveServer.start(source, { limits });
              break;
          }
        }
        server.publishAll();
        for (const one of clients) if (!one.isConnected) await one.connect(server.url);
        for (const one of clients) {
          await one.settle();
          totals.segments += one.checked;
          totals.recovered += one.recovered;
          totals.gaps += one.gaps;
        }
      } finally {
        for (const one of clients) one.disconnect();
        await server.stop();
      }
    }),
    { numRuns: 100, endOnFailure: true },
  );
  // The paths that the test is about were taken.
  expect(totals.recovered).toBeGreaterThan(100);
  expect(totals.gaps).toBeGreaterThan(50);
});

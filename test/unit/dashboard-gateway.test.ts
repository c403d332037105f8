import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import type { Alert } from '../../src/contract/alert.ts';
import { loadFleet } from '../../src/dashboard/fleet.ts';
import { FrameLoop } from '../../src/dashboard/frame-loop.ts';
import { durationText, type Range } from '../../src/dashboard/chart-range.ts';
import { loadHistory } from '../../src/dashboard/history-source.ts';
import { LatestValues } from '../../src/dashboard/latest-values.ts';
import type { LiveHandler } from '../../src/dashboard/live-client.ts';
import { OpenAlerts } from '../../src/dashboard/open-alerts.ts';
import { ProblemError, RestClient } from '../../src/dashboard/rest-client.ts';

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

/** A real server on a port of its own, answering as the test says, and a client of it below a base path. */
async function serve(
  answer: (url: URL, response: ServerResponse, request: IncomingMessage) => void,
  now: () => number = () => Date.now(),
): Promise<{ rest: RestClient; asked: URL[] }> {
  const asked: URL[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://gateway');
    asked.push(url);
    answer(url, response, request);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stops.push(
    () => server.closeAllConnections(),
    () => server.close(),
  );
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { rest: new RestClient({ base: `http://127.0.0.1:${address.port}/gate/`, fetch, now }), asked };
}

function json(response: ServerResponse, body: unknown): void {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(body));
}

describe('asking the gateway', () => {
  test('a problem is told in its own words', async () => {
    const { rest } = await serve((_, response) => {
      response.writeHead(503, { 'content-type': 'application/problem+json' });
      response.end(
        JSON.stringify({
          title: 'Storage is not available',
          status: 503,
          detail: 'Disk full',
          code: 'storage_unavailable',
        }),
      );
    });
    const problem = await rest.get('api/v1/devices').catch((error: unknown) => error);
    expect(problem).toBeInstanceOf(ProblemError);
    expect(problem).toMatchObject({
      status: 503,
      title: 'Storage is not available',
      detail: 'Disk full',
      code: 'storage_unavailable',
    });
  });

  test('an error that is no problem+json still has a title', async () => {
    const { rest } = await serve((_, response) => {
      response.writeHead(502);
      response.end('<html>bad gateway</html>');
    });
    await expect(rest.get('api/v1/devices')).rejects.toMatchObject({ status: 502, title: 'The gateway answered 502' });
  });

  test('no answer at all is a problem too, an abort is not', async () => {
    const { rest } = await serve((_, response) => response.destroy());
    await expect(rest.get('api/v1/devices')).rejects.toMatchObject({ status: 0, code: 'unreachable' });
    const abort = new AbortController();
    abort.abort();
    const aborted = await rest.get('api/v1/devices', {}, abort.signal).catch((error: unknown) => error);
    expect(aborted).not.toBeInstanceOf(ProblemError);
  });

  test('addresses are taken below the base path', async () => {
    const { rest, asked } = await serve((_, response) => json(response, {}));
    await rest.get('api/v1/latest', { device: 'a,b', metric: 'x y' });
    expect(asked[0]?.pathname).toBe('/gate/api/v1/latest');
    expect(asked[0]?.searchParams.get('metric')).toBe('x y');
  });

  test('a gateway whose clock differs by minutes is asked by its own clock, one that differs by a second is not', async () => {
    let served = 0;
    const here = 1_790_000_000_000;
    const { rest } = await serve(
      (_, response) => {
        response.setHeader('date', new Date(served).toUTCString());
        json(response, {});
      },
      () => here,
    );
    served = here + 300_000;
    await rest.get('api/v1/devices');
    expect(rest.gatewayNow()).toBe(here + 300_500);
    served = here + 1_000;
    await rest.get('api/v1/devices');
    expect(rest.gatewayNow()).toBe(here);
  });

  test('the fleet is read to its last page', async () => {
    const { rest } = await serve((url, response) => {
      const page = url.searchParams.get('page');
      json(response, page === null ? { items: [{ id: 'a' }], next: 'two' } : { items: [{ id: 'b' }], next: null });
    });
    const fleet = await loadFleet(rest, new AbortController().signal);
    expect(fleet.devices.map(({ id }) => id)).toEqual(['a', 'b']);
    expect(fleet.isComplete).toBe(true);
  });
});

describe('history', () => {
  const now = 1_790_000_012_345;

  test('of a short range is single readings, oldest first, texts left out, booleans as 0 and 1', async () => {
    const { rest, asked } = await serve(
      (_, response) =>
        json(response, {
          readings: [
            { time: time(now - 1_000), value: true },
            { time: time(now - 2_000), value: 'stuck' },
            { time: time(now - 3_000), value: 4.5 },
          ],
          next: null,
        }),
      () => now,
    );
    const page = await loadHistory(rest, request('5m'));
    expect(page.width).toBe(0);
    expect(page.points).toEqual([
      { time: now - 3_000, value: 4.5 },
      { time: now - 1_000, value: 1 },
    ]);
    expect(asked.map((url) => url.searchParams.get('order'))).toEqual(['desc']);
  });

  test('of a longer range is complete buckets up to a boundary and every reading after it', async () => {
    const { rest, asked } = await serve(
      (url, response) => {
        if (url.searchParams.has('bucket')) {
          const from = Number(url.searchParams.get('from'));
          json(response, {
            resolution: '1m',
            buckets: [{ time: time(from), avg: 4, min: 3, max: 5, count: 9 }],
            next: null,
          });
        } else json(response, { readings: [{ time: time(now), value: 4 }], next: null });
      },
      () => now,
    );
    const page = await loadHistory(rest, request('1h'));
    const [buckets, tail] = asked.toSorted((a) => (a.searchParams.has('bucket') ? -1 : 1));
    expect(page.width).toBe(15_000);
    expect(page.boundary % page.width).toBe(0);
    expect(page.boundary).toBeLessThanOrEqual(now - page.width);
    expect(buckets?.searchParams.get('bucket')).toBe('15s');
    expect(buckets?.searchParams.get('to')).toBe(String(page.boundary));
    expect(Number(buckets?.searchParams.get('from')) % page.width).toBe(0);
    expect(tail?.searchParams.get('from')).toBe(String(page.boundary));
    // Whatever zone the device is registered in, buckets begin where the chart counts them.
    expect(Object.fromEntries(buckets?.searchParams ?? [])).toMatchObject({ tz: 'UTC', fill: 'none' });
    expect(page.buckets).toHaveLength(1);
    expect(page.resolution).toBe('1m');
    expect(page.points).toEqual([{ time: now, value: 4 }]);
  });

  test.each([
    ['counter', 'last,min,max,count', { last: 7 }],
    ['state', 'timeWeightedAvg,min,max,count', { timeWeightedAvg: 0.25 }],
  ] as const)('of a %s goes through %s, and on where nothing was said', async (kind, agg, said) => {
    const { rest, asked } = await serve(
      (url, response) => {
        const buckets = [{ time: time(now - 60_000), min: 0, max: 9, count: 0, ...said }];
        json(
          response,
          url.searchParams.has('bucket') ? { resolution: 'raw', buckets, next: null } : { readings: [], next: null },
        );
      },
      () => now,
    );
    const page = await loadHistory(rest, { ...request('24h'), kind });
    const query = asked.find((url) => url.searchParams.has('bucket'))?.searchParams;
    expect([query?.get('agg'), query?.get('fill')]).toEqual([agg, 'previous']);
    expect(page.buckets.map(({ avg }) => avg)).toEqual(Object.values(said));
  });

  test('of a long range with more new readings than a page has those by the minute, not cut off', async () => {
    const { rest, asked } = await serve(
      (url, response) => {
        if (!url.searchParams.has('bucket'))
          json(response, { readings: [{ time: time(now), value: 4 }], next: 'more' });
        else {
          const begin = Number(url.searchParams.get('from'));
          const buckets = [{ time: time(begin), avg: 5, min: 3, max: 6, count: 60 }];
          json(response, { resolution: 'raw', buckets, next: null });
        }
      },
      () => now,
    );
    const page = await loadHistory(rest, request('30d'));
    expect(page.points).toEqual([{ time: page.boundary, value: 5 }]);
    const widths = asked.flatMap((url) => url.searchParams.get('bucket') ?? []);
    expect(widths.toSorted()).toEqual(['1m', durationText(page.width)].toSorted());
  });

  test('of a short range with more readings than a page comes in buckets of a second instead of cut off', async () => {
    const { rest } = await serve(
      (url, response) => {
        if (url.searchParams.has('bucket')) json(response, { buckets: [], next: null });
        else json(response, { readings: [{ time: time(now), value: 4 }], next: 'more' });
      },
      () => now,
    );
    expect((await loadHistory(rest, request('5m'))).width).toBe(1_000);
  });
});

describe('what moves', () => {
  test('one frame draws everything once however often it was asked, and nothing asks for a frame when idle', () => {
    const { frames, asked, frame } = handFrames();
    let draws = 0;
    const drawing = frames.add(() => draws++);
    const removed = frames.add(() => draws++);
    for (let ask = 0; ask < 50; ask++) drawing.invalidate();
    removed.invalidate();
    removed.remove();
    expect(asked).toHaveLength(1);
    frame();
    expect(draws).toBe(1);
    expect(asked).toHaveLength(0);
  });

  test('a drawing that asks again while it draws is drawn in the next frame, not for ever in this one', () => {
    const { frames, frame } = handFrames();
    let draws = 0;
    const drawing = frames.add(() => {
      draws++;
      drawing.invalidate();
    });
    drawing.invalidate();
    frame();
    expect(draws).toBe(1);
    frame();
    expect(draws).toBe(2);
  });

  test('a cell shows the greatest time, not the last arrival, and keeps the unit it knows', () => {
    const { frames, frame } = handFrames();
    const values = new LatestValues(frames);
    const cell = values.cell('room-1', 'temperature');
    const offer = (second: number, value: number, unit?: string): void =>
      values.offer({
        device: 'room-1',
        metric: 'temperature',
        time: new Date(1_790_000_000_000 + second * 1_000).toISOString(),
        value,
        ...(unit === undefined ? {} : { unit }),
      });
    offer(0, 20, 'Cel');
    offer(5, 21);
    offer(3, 99);
    expect(cell.value).toBeNull();
    frame();
    expect(cell.value).toEqual({ value: 21, time: 1_790_000_005_000, unit: 'Cel' });
    offer(4, 99);
    frame();
    expect(cell.value?.value).toBe(21);
    offer(5, 22);
    frame();
    expect(cell.value?.value).toBe(22);
  });
});

describe('open alerts', () => {
  test('are unknown until the gateway has spoken, then known to be none', async () => {
    const { alerts, handler } = await follow([]);
    expect(alerts.open.value).toBeNull();
    handler.alerts?.([], 'snapshot');
    expect(alerts.open.value).toEqual([]);
  });

  test('follow the transitions, newest first, and a late repetition does not reopen an ended episode', async () => {
    const { alerts, handler } = await follow([]);
    handler.alerts?.([alert('a', 1), alert('b', 2)], 'snapshot');
    handler.alerts?.([alert('c', 3)], 'transition');
    expect(ids(alerts.open.value)).toEqual(['c', 'b', 'a']);
    handler.alerts?.([alert('b', 2, 'resolved')], 'transition');
    handler.alerts?.([alert('b', 2)], 'transition');
    expect(ids(alerts.open.value)).toEqual(['c', 'a']);
    expect(ids(alerts.recent.value)).toEqual(['c', 'b', 'a']);
  });

  test('an episode that ended while transitions were lost is not shown as open any more', async () => {
    const { alerts, handler, asked } = await follow([alert('b', 2), alert('d', 4)]);
    handler.alerts?.([alert('a', 1), alert('b', 2)], 'snapshot');
    const changed = new Promise<void>((resolve) => {
      const stop = alerts.open.subscribe((open) => {
        if (open?.some(({ id }) => id === 'd') === true) {
          resolve();
          queueMicrotask(() => stop());
        }
      });
    });
    handler.lost?.();
    await changed;
    expect(asked[0]?.searchParams.get('state')).toBe('firing');
    expect(ids(alerts.open.value)).toEqual(['d', 'b']);
  });

  test('a list from REST is shown with what has changed since it was read', async () => {
    const { alerts, handler } = await follow([]);
    handler.alerts?.([alert('a', 1, 'resolved'), alert('c', 3)], 'transition');
    const merged = alerts.merge([alert('a', 1), alert('b', 2, 'resolved')]);
    expect(merged.map(({ id, state }) => `${id} ${state}`)).toEqual(['c firing', 'b resolved', 'a resolved']);
  });

  test('hold a bounded number of ended episodes and every open one', async () => {
    const { alerts, handler } = await follow([]);
    for (let index = 0; index < 250; index++) handler.alerts?.([alert(`r${index}`, index, 'resolved')], 'transition');
    handler.alerts?.([alert('open', 0)], 'transition');
    expect(alerts.recent.value).toHaveLength(201);
    expect(ids(alerts.open.value)).toEqual(['open']);
    expect(alerts.recent.value[0]?.id).toBe('r249');
  });
});

function request(range: Range) {
  return {
    device: 'fridge-01',
    metric: 'temperature',
    kind: 'gauge' as const,
    range,
    pixels: 600,
    signal: new AbortController().signal,
  };
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}

/** Frames come when the test says. */
function handFrames() {
  const asked: (() => void)[] = [];
  return {
    frames: new FrameLoop((draw) => asked.push(draw)),
    asked,
    frame: (): void => {
      for (const draw of asked.splice(0)) draw();
    },
  };
}

function alert(id: string, second: number, state: Alert['state'] = 'firing'): Alert {
  return {
    id,
    rule: { id: 'rule_1', name: 'Too warm' },
    device: 'fridge-01',
    metric: 'temperature',
    unit: 'Cel',
    severity: 'warning',
    state,
    value: 9,
    threshold: 8,
    startedAt: new Date(1_790_000_000_000 + second * 1_000).toISOString(),
    firedAt: new Date(1_790_000_000_000 + second * 1_000).toISOString(),
    resolvedAt: state === 'resolved' ? new Date(1_790_000_900_000).toISOString() : null,
    reason: state === 'resolved' ? 'cleared' : null,
  };
}

async function follow(answer: readonly Alert[]) {
  const { rest, asked } = await serve((_, response) => json(response, { items: answer, next: null }));
  let handler: LiveHandler = {};
  const alerts = new OpenAlerts(rest, {
    subscribe: (_, taken) => {
      handler = taken;
      return () => undefined;
    },
  });
  alerts.start();
  return { alerts, asked, handler };
}

function ids(list: readonly Alert[] | null): string[] | undefined {
  return list?.map(({ id }) => id);
}

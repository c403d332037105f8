// A start that fails, in a process that goes on: an embedder, or a test.
import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { loadConfig } from '../../src/config/load.ts';
import { createGateway } from '../../src/gateway.ts';
import { tempFolder } from '../support/temp-folder.ts';

let folder: ReturnType<typeof tempFolder>;
const taken = createServer();
beforeEach(async () => {
  folder = tempFolder();
  taken.listen(0, '127.0.0.1');
  await once(taken, 'listening');
});
afterEach(async () => {
  taken.close();
  await once(taken, 'close');
  folder.remove();
});

/** Knows the timers that are set and neither fired nor were cancelled. */
class WatchedClock implements Clock {
  readonly open = new Set<object>();
  readonly now = (): number => systemClock.now();
  readonly monotonic = (): number => systemClock.monotonic();

  after(delayMs: number, action: () => void): ReturnType<Clock['after']> {
    const timer = systemClock.after(delayMs, () => {
      this.open.delete(timer);
      action();
    });
    this.open.add(timer);
    return {
      cancel: () => {
        this.open.delete(timer);
        timer.cancel();
      },
    };
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(delayMs, signal);
  }
}

test.each([
  ['the HTTP port is taken', { 'http.port': () => portOf(), 'mqtt.port': () => 0 }, undefined],
  ['the MQTT port is taken', { 'http.port': () => 0, 'mqtt.port': () => portOf() }, undefined],
  [
    'the page cannot be built',
    { 'http.port': () => 0, 'mqtt.port': () => 0 },
    () => Promise.reject(new Error('no bundler')),
  ],
])('where %s, no timer is left running and the folder is free', async (_what, ports, dashboard) => {
  const flags = Object.fromEntries(Object.entries(ports).map(([option, port]) => [option, port()]));
  const clock = new WatchedClock();
  const config = loadConfig({ flags: { ...flags, 'data.dir': folder.path } });
  await expect(createGateway(config, { clock, dashboard }).start()).rejects.toThrow();
  expect(clock.open.size).toBe(0);
  const free = loadConfig({ flags: { 'data.dir': folder.path, 'http.port': 0, 'mqtt.port': 0 } });
  const next = createGateway(free, { clock });
  await next.start();
  await next.stop();
  expect(clock.open.size).toBe(0);
});

function portOf(): number {
  const address = taken.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

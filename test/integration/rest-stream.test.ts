// The polling stream of a whole gateway: one cursor, over commits, restarts and another database.
import { describe, expect, test } from 'vitest';
import { StreamPage } from '../../src/contract/reading.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { GatewayPerTest, publish, type Sent } from '../support/gateway.ts';

const rig = new GatewayPerTest();
const { http, noon } = rig;

const power = (time: number, value: number): Sent => ({ device: 'meter-1', metric: 'power', time, value });

describe('the stream', () => {
  test('goes on from a cursor with exactly what came after it, each page ending with a whole commit', async () => {
    const { cursor: begin } = await rig.post([power(noon, 1)]);
    await rig.post([power(noon + 1, 2), power(noon + 2, 3), power(noon + 3, 4)]);
    const { cursor: end } = await rig.post([power(noon + 4, 5), { ...power(noon, 9), device: 'meter-2' }]);
    const read: number[] = [];
    const sizes: number[] = [];
    for (let since = begin; since !== end; ) {
      const page = await http.get(StreamPage, `/api/v1/stream?since=${since}&limit=1&device=meter-1`);
      expect(page.gap).toBeNull();
      sizes.push(page.readings.length);
      read.push(...page.readings.map(({ value }) => Number(value)));
      since = page.cursor;
    }
    expect(read).toEqual([2, 3, 4, 5]);
    expect(sizes).toEqual([3, 1]);
    expect(await http.get(StreamPage, `/api/v1/stream?since=${end}`)).toEqual({
      cursor: end,
      readings: [],
      gap: null,
    });
  });

  test('that waits answers with the first commit that matches', async () => {
    const { cursor } = await rig.post([power(noon, 1)]);
    const waiting = http.get(StreamPage, `/api/v1/stream?since=${cursor}&metric=level&wait=30s`);
    const client = await rig.running.mqtt.connect('tank-1');
    await publish(client, 'devices/tank-1/telemetry', { ts: noon, power: 7 });
    await publish(client, 'devices/tank-1/telemetry', { ts: noon + 1, level: 8, power: 9 });
    const page = await waiting;
    expect(page.readings).toEqual([{ device: 'tank-1', metric: 'level', time: rig.at(1), value: 8 }]);
    const nothing = await http.get(StreamPage, `/api/v1/stream?since=${page.cursor}&wait=20ms`);
    expect(nothing).toEqual({ cursor: page.cursor, readings: [], gap: null });
  });

  test('goes on over a restart, and a cursor of another database is told its gap', async () => {
    const folder = tempFolder();
    await rig.restart({ 'data.dir': folder.path });
    const { cursor } = await rig.post([power(noon, 1)]);
    await rig.post([power(noon + 1, 2)]);
    await rig.restart({ 'data.dir': folder.path });
    await rig.post([power(noon + 2, 3)]);
    const page = await http.get(StreamPage, `/api/v1/stream?since=${cursor}`);
    expect(page.readings.map(({ value }) => value)).toEqual([2, 3]);
    expect(page.gap).toBeNull();
    await rig.restart({});
    folder.remove();
    const { cursor: here } = await rig.post([power(noon, 1)]);
    const other = await http.get(StreamPage, `/api/v1/stream?since=${cursor}`);
    expect(other.gap).toEqual({ after: cursor, resumed: other.cursor, reason: 'epoch_changed' });
    expect(other).toMatchObject({ cursor: here, readings: [] });
    const [epoch] = here.split(':');
    const ahead = await http.get(StreamPage, `/api/v1/stream?since=${epoch}:999999`);
    expect(ahead.gap).toMatchObject({ resumed: here, reason: 'ahead' });
  });
});

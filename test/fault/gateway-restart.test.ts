// What a gateway has in memory alone, and must know again after a restart.
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { type GatewayHere, startGatewayHere } from '../support/gateway-here.ts';
import { send } from '../support/http-client.ts';
import { Device } from '../support/kill-publisher.ts';
import { readAll } from '../support/kill-model.ts';
import { tempFolder } from '../support/temp-folder.ts';

let folder: ReturnType<typeof tempFolder>;
let here: GatewayHere;
beforeEach(() => {
  folder = tempFolder();
});
afterEach(async () => {
  await here.gateway.stop();
  folder.remove();
});

/** A wall clock whose hands stand still, or are set back between two starts. */
function standingAt(time: number): Clock {
  return { ...systemClock, now: () => time };
}

it.each([0, -3_600_000])(
  'messages without a time stay as many as were sent, though the clock has moved by %i ms over a restart',
  async (step) => {
    const begin = Date.now();
    let serial = 0;
    for (const time of [begin, begin + step, begin + 10_000]) {
      here = await startGatewayHere(folder.path, {}, { clock: standingAt(time) });
      const device = new Device('pump');
      await device.connect(here.mqttPort);
      // More in one millisecond than there are milliseconds: each is moved on by one.
      await Promise.all(
        Array.from({ length: 20 }, () => device.publish('devices/pump/telemetry/count', String(serial++))),
      );
      const posted = Array.from({ length: 5 }, () => ({ device: 'pump', metric: 'count', value: serial++ }));
      expect((await send(here.httpPort, 'POST', '/api/v1/readings', posted)).status).toBe(200);
      device.disconnect();
      const kept = (await readAll(here.httpPort)).get('pump/count');
      expect(kept?.map(({ value }) => value)).toEqual(Array.from({ length: serial }, (_, index) => index));
      await here.gateway.stop();
    }
  },
);

// Why `mqtt.external.group` is empty by default: what Debian's Mosquitto keeps of a subscription over its own restart.
import { connect, connectAsync } from 'mqtt';
import { expect, it } from 'vitest';
import { Mosquitto } from '../support/mosquitto.ts';

/** Whether a message that is published after a restart of the broker waits for a subscriber that was away meanwhile. */
async function waits(filter: string): Promise<boolean> {
  const broker = await Mosquitto.start({ persistent: true });
  try {
    const options = { clientId: 'subscriber', clean: false, reconnectPeriod: 0 } as const;
    const subscriber = await connectAsync(broker.url, options);
    await subscriber.subscribeAsync(filter, { qos: 1 });
    await subscriber.endAsync();
    await broker.end('SIGTERM');
    await broker.resume();
    const publisher = await connectAsync(broker.url, { reconnectPeriod: 0 });
    await publisher.publishAsync('devices/d/telemetry', '{"a":1}', { qos: 1 });
    const back = connect(broker.url, options);
    let waited = false;
    back.on('message', () => {
      waited = true;
    });
    await new Promise<void>((resolve) => back.once('connect', () => resolve()));
    // What waited is sent before anything that is asked on the new connection.
    await back.publishAsync('done', '', { qos: 2 });
    await Promise.all([back.endAsync(), publisher.endAsync()]);
    return waited;
  } finally {
    await broker.remove();
  }
}

it('Mosquitto remembers a plain subscription over its restart, and forgets a shared one', async () => {
  expect([await waits('devices/#'), await waits('$share/pulsegate/devices/#')]).toEqual([true, false]);
});

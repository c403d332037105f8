// A whole gateway on a file system that is really full. Nothing is acknowledged that is not kept, what was kept can be
// read and deleted, and when there is room again nothing is missing.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type GatewayHere, startGatewayHere, untilReadiness } from '../support/gateway-here.ts';
import { ask, send } from '../support/http-client.ts';
import { readAll } from '../support/kill-model.ts';
import { Device } from '../support/kill-publisher.ts';
import { expectBalanced, readMetrics } from '../support/ledger-check.ts';
import { type SmallDisk, smallDisk } from '../support/small-disk.ts';

describe.skipIf(process.platform !== 'linux')('a gateway whose disk is full', () => {
  let disk: SmallDisk;
  let here: GatewayHere;
  let device: Device;
  const fatal: unknown[] = [];
  const other = (): string => join(disk.path, 'other');

  beforeEach(async () => {
    disk = smallDisk(12 << 20);
    here = await startGatewayHere(
      disk.path,
      { 'storage.reserve': '1MB', 'http.bodyBytesMax': '4MB' },
      { fatal: (error) => void fatal.push(error) },
    );
    // Made as a deletion needs it, without waiting for the gateway to look.
    writeFileSync(join(disk.path, 'pulsegate.reserve'), Buffer.alloc(1 << 20, 1));
    device = new Device('pump');
    await device.connect(here.mqttPort);
    await device.publish('devices/pump/telemetry/count', '0');
  });
  afterEach(async () => {
    device.disconnect();
    await here.gateway.stop();
    disk.remove();
    expect(fatal.splice(0)).toEqual([]);
  });

  /** Takes all the room that is left. */
  function fill(): void {
    for (let bytes = 8 << 20; bytes >= 512; bytes >>= 1) {
      for (;;) {
        try {
          writeFileSync(other(), new Uint8Array(bytes), { flag: 'a' });
        } catch {
          break;
        }
      }
    }
  }

  const post = async (batch: number): Promise<number> =>
    (await send(here.httpPort, 'POST', '/api/v1/readings', rowsOf(batch))).status;

  /** Posts until the disk says no; returns how many posts were acknowledged. */
  async function postUntilFull(): Promise<number> {
    for (let batch = 0; batch < 5; batch++) expect(await post(batch)).toBe(200);
    fill();
    let batch = 5;
    let status = await post(batch);
    while (status === 200) status = await post(++batch);
    expect(status).toBe(503);
    return batch;
  }

  it('acknowledges nothing, answers what it has, and afterwards nothing is missing', async () => {
    const posted = await postUntilFull();
    const told = Array.from({ length: 400 }, (_, index) =>
      device.publish(`devices/pump/telemetry/bulk-${index % 100}`, JSON.stringify('x'.repeat(250)), 1),
    );
    // Small commits still fit for a while; once none does, devices are turned away unacknowledged.
    const serials = (async (): Promise<number> => {
      for (let serial = 1; ; serial++) {
        const done = device.publish('devices/pump/telemetry/count', String(serial));
        told.push(done);
        const outcome = await Promise.race([done.then(() => 'acknowledged'), device.ended().then(() => 'ended')]);
        if (outcome === 'ended') return serial;
      }
    })();
    const last = await serials;
    expect((await send(here.httpPort, 'POST', '/api/v1/readings', rowsOf(posted))).headers['retry-after']).toMatch(
      /^\d+$/,
    );
    expect((await readAll(here.httpPort)).get('poster/serial')).toHaveLength(posted * 5_000);

    rmSync(other());
    await untilReadiness(here.httpPort, 200);
    await device.connect(here.mqttPort);
    await Promise.all(told);
    expect(await post(posted)).toBe(200);
    const kept = await readAll(here.httpPort);
    expect(kept.get('poster/serial')).toHaveLength((posted + 1) * 5_000);
    expect(kept.get('pump/count')?.map(({ value }) => value)).toEqual(Array.from({ length: last + 1 }, (_, at) => at));
    expectBalanced(await readMetrics(here.httpPort));
  });

  it('deletes readings when it is asked to, and takes others in their place', async () => {
    const posted = await postUntilFull();
    const deletion = '/api/v1/readings?device=poster&all=true';
    const options = { method: 'DELETE', headers: { 'content-type': 'application/json' } };
    let deleted = await ask(here.httpPort, deletion, options);
    while (deleted.status === 503) deleted = await ask(here.httpPort, deletion, options);
    expect(deleted.json()).toMatchObject({ series: 1, readings: posted * 5_000 });
    expect((await readAll(here.httpPort)).get('poster/serial')).toBe(undefined);
    await untilReadiness(here.httpPort, 200);
    let status = await post(900);
    while (status === 503) status = await post(900);
    expect(status).toBe(200);
    expect((await readAll(here.httpPort)).get('poster/serial')).toHaveLength(5_000);
  });
});

function rowsOf(batch: number): object[] {
  return Array.from({ length: 5_000 }, (_, index) => ({
    device: 'poster',
    metric: 'serial',
    time: Date.UTC(2026, 8, 1) + (batch * 5_000 + index) * 1_000,
    value: Math.sin(batch * 5_000 + index),
  }));
}

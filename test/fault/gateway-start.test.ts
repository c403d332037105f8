// What a person meets who starts the gateway where it must not or cannot start: a sentence, and nothing touched.
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Exit, GatewayProcess } from '../support/gateway-process.ts';
import { ask, send } from '../support/http-client.ts';
import { KillRun } from '../support/kill-run.ts';
import { tempFolder } from '../support/temp-folder.ts';

let folder: ReturnType<typeof tempFolder>;
let cleanups: (() => unknown)[];
beforeEach(() => {
  folder = tempFolder();
  cleanups = [() => folder.remove()];
});
afterEach(async () => {
  for (const cleanup of cleanups.toReversed()) await cleanup();
});

async function start(): Promise<GatewayProcess> {
  const gateway = await GatewayProcess.start({ dir: folder.path });
  cleanups.push(() => gateway.kill());
  return gateway;
}

/** A sentence for people: exit 1, no stack. */
function expectExplained({ code, stderr }: Exit, ...parts: readonly (string | RegExp)[]): void {
  expect(code, stderr).toBe(1);
  expect(stderr).not.toMatch(/^\s+at .*:\d+/m);
  for (const part of parts) expect(stderr).toMatch(part);
}

describe('SIGTERM', () => {
  it('under load ends with 0 before a supervisor loses patience, and everything acknowledged is on disk', async () => {
    const run = new KillRun(folder.path, 1);
    cleanups.push(() => run.close());
    await run.start();
    await run.furnish();
    await run.reconnect();
    const moment = run.acknowledged(2_000);
    run.send(20_000);
    await moment;
    await run.terminate();
    await run.start();
    await run.expectKept();
    await run.reconnect();
    await run.quiet();
    await run.expectKept();
  });
});

describe('a gateway that cannot start says why', () => {
  it('when another one has the data folder, which goes on undisturbed', async () => {
    const first = await start();
    const second = await GatewayProcess.refused({ dir: folder.path });
    expectExplained(second, 'is in use by another gateway', folder.path);
    const body = [{ device: 'pump-1', metric: 'flow', time: Date.now(), value: 1 }];
    expect((await send(first.httpPort, 'POST', '/api/v1/readings', body)).status).toBe(200);
  });

  it.each(['httpPort', 'mqttPort'] as const)('when the %s is taken, naming it and the option', async (option) => {
    const server = createServer();
    const port = await new Promise<number>((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve(portOf(server.address())));
    });
    cleanups.push(() => server.close());
    const refused = await GatewayProcess.refused({ dir: folder.path, [option]: port });
    const flag = option === 'httpPort' ? '--http-port' : '--mqtt-port';
    expectExplained(refused, `Port ${port} on 127.0.0.1 is in use`, flag);
    // It let go of the folder.
    expect((await ask((await start()).httpPort, '/readyz')).status).toBe(200);
  });

  it('when catalog.json cannot be read: the file, the line and the last good copy, and it is left as it is', async () => {
    const gateway = await start();
    for (const name of ['first', 'second']) {
      const rule = { name, metric: 'flow', condition: { type: 'threshold', above: 1 } };
      expect((await send(gateway.httpPort, 'POST', '/api/v1/rules', rule)).status).toBe(201);
    }
    expect(await gateway.terminate()).toMatchObject({ code: 0 });
    const path = join(folder.path, 'catalog.json');
    const good = readFileSync(path, 'utf8');
    const line = good.split('\n').findIndex((text) => text.includes('"second"')) + 1;
    const corrupt = good.replace('"second",', '"second"');
    expect(corrupt).not.toBe(good);
    writeFileSync(path, corrupt);
    const refused = await GatewayProcess.refused({ dir: folder.path });
    const [, lastGood = ''] = /the last good copy is (\S+?)\.?$/m.exec(refused.stderr) ?? [];
    // The parser stumbles over what follows the missing comma.
    expectExplained(refused, path, new RegExp(`line (${line}|${line + 1}),`));
    expect(readFileSync(path, 'utf8')).toBe(corrupt);
    expect(JSON.parse(readFileSync(lastGood, 'utf8'))).toMatchObject({ rules: [{ name: 'first' }, {}] });
  });

  it('when a newer version made the database', async () => {
    const gateway = await start();
    expect(await gateway.terminate()).toMatchObject({ code: 0 });
    const database = new DatabaseSync(join(folder.path, 'pulsegate.db'));
    database.exec('PRAGMA user_version = 1000');
    database.close();
    expectExplained(await GatewayProcess.refused({ dir: folder.path }), 'made by a newer Pulsegate');
  });

  it.each(['--http-host', '--mqtt-host'])(
    'when %s lets others in and there is no key, and how to make one',
    async (flag) => {
      const refused = await GatewayProcess.refused({ dir: folder.path, args: [flag, '0.0.0.0'] });
      expectExplained(refused, flag.slice(2).replace('-', '.'), 'keys create', '0.0.0.0');
    },
  );

  it('when options are unknown or wrong, all of them at once', async () => {
    const args = ['--set', 'htp.port=1', '--set', 'ingest.futureMax=soon'];
    const refused = await GatewayProcess.refused({ dir: folder.path, args });
    expectExplained(refused, 'htp', 'ingest.futureMax');
  });
});

function portOf(address: ReturnType<ReturnType<typeof createServer>['address']>): number {
  return typeof address === 'object' && address !== null ? address.port : 0;
}

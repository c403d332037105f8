import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import type { z } from 'zod';
import { loadConfig } from '../config/load.ts';
import { RegistrationDraft } from '../contract/device.ts';
import { ProfileDraft } from '../contract/profile.ts';
import { RuleDraft } from '../contract/rule.ts';
import { createGateway, type Gateway } from '../gateway.ts';
import { flagPaths, type GatewayFlags } from './gateway-flags.ts';
import { type Inbox, startInbox } from './inbox.ts';
import { createLog } from './logger.ts';
import { dashboard, leave, stopOnSignal } from './start.ts';
import { version } from './version.ts';

const simulator = fileURLToPath(new URL('../../simulator/main.ts', import.meta.url));
const sampleRules = new URL('../../config/demo-rules.yaml', import.meta.url);
const sampleProfiles = new URL('../../config/demo-profiles.yaml', import.meta.url);
const sampleDevices = new URL('../../config/demo-devices.yaml', import.meta.url);
/** What the fleet tells of the time before, the first time: later there is what it was. */
const past = '6h';
const inboxNote = 'the demo inbox';

/** `pulsegate demo`: gateway, simulated fleet, sample rules and a webhook inbox in one command. */
export async function demo(
  flags: GatewayFlags & { readonly devices: string; readonly inboxPort: string },
): Promise<void> {
  const began = performance.now();
  const config = loadConfig({
    file: flags.config,
    env: process.env,
    flags: {
      'data.dir': './data/demo',
      'webhooks.allowTargets': '127.0.0.0/8',
      'log.level': 'warn',
      ...flagPaths(flags),
    },
  });
  const gateway = createGateway(config, { log: createLog(config.log.level), version, fatal: leave, dashboard });
  const inbox = await startInbox({
    port: Number(flags.inboxPort),
    secrets: () => inboxSecrets(gateway),
    print: console.log,
  });
  let fleet: ChildProcess | undefined;
  stopOnSignal(gateway, async () => {
    await stopFleet(fleet);
    await inbox.stop();
  });
  await gateway.start();
  const isFirst = await addSamples(gateway, inbox, Number(flags.devices));
  fleet = startFleet(gateway, flags.devices, isFirst ? ['--past', past] : []);
  console.log(welcome(gateway, inbox, (performance.now() - began) / 1000));
}

/** What the inbox verifies with: the secrets of the webhooks that point at it. */
function inboxSecrets(gateway: Gateway): readonly string[] {
  return gateway.catalog
    .snapshot()
    .webhooks.filter(isInboxWebhook)
    .flatMap((webhook) => gateway.catalog.secrets(webhook.id));
}

function isInboxWebhook(webhook: { readonly description: string }): boolean {
  return webhook.description === inboxNote;
}

/**
 * The first run brings profiles, named devices, rules and a webhook; later runs leave alone what people made of them.
 * Returns whether this is the first.
 */
async function addSamples(gateway: Gateway, inbox: Inbox, fleetSize: number): Promise<boolean> {
  const url = `http://127.0.0.1:${inbox.port}/`;
  const { catalog } = gateway;
  const { rules, webhooks } = catalog.snapshot();
  const existing = webhooks.find(isInboxWebhook);
  if (!existing) {
    await catalog.createWebhook({
      url,
      events: ['alert.*', 'device.*'],
      format: 'standard',
      enabled: true,
      description: inboxNote,
    });
  } else if (existing.url !== url) {
    await catalog.updateWebhook(existing.id, { url });
  }
  if (rules.length > 0 || existing) return false;
  for (const rule of samples(sampleRules, RuleDraft)) await catalog.createRule(rule);
  for (const profile of samples(sampleProfiles, ProfileDraft)) await catalog.createProfile(profile);
  // As many as the fleet has; they are listed in its order. Further ones come by themselves.
  await catalog.createRegistrations(samples(sampleDevices, RegistrationDraft).slice(0, fleetSize));
  return true;
}

function samples<T extends z.ZodType>(file: URL, schema: T): z.output<T>[] {
  return schema.array().parse(parse(readFileSync(file, 'utf8')));
}

function startFleet(gateway: Gateway, devices: string, more: readonly string[]): ChildProcess {
  const args = [simulator, '--url', gateway.mqttUrl, '--devices', devices, '--drama', ...more];
  const fleet = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  // Its status line would bury what the inbox prints; it is shown only when the fleet ends by itself.
  let last = '';
  fleet.stderr.on('data', (chunk: Buffer) => {
    last = (last + chunk.toString()).slice(-1_000);
  });
  fleet.on('exit', (code) => {
    if (code !== 0 && code !== null)
      console.error(
        `The simulated fleet ended (exit ${code}): ${last
          .trim()
          .split(/[\r\n]/)
          .at(-1)}`,
      );
  });
  return fleet;
}

async function stopFleet(fleet: ChildProcess | undefined): Promise<void> {
  if (fleet === undefined || fleet.exitCode !== null) return;
  fleet.kill('SIGTERM');
  await Promise.race([once(fleet, 'exit'), new Promise((resolve) => setTimeout(resolve, 1_500).unref())]);
  fleet.kill('SIGKILL');
}

function welcome(gateway: Gateway, inbox: Inbox, seconds: number): string {
  const { httpUrl, mqttUrl } = gateway;
  const port = new URL(mqttUrl).port;
  // The Node that runs this may be the one that the project brought along.
  const node = process.execPath.includes('node_modules') ? `./${relative(process.cwd(), process.execPath)}` : 'node';
  const live = httpUrl.replace(/^http/, 'ws');
  const watch = `const s=new WebSocket('${live}/api/v1/live');s.onopen=()=>s.send(JSON.stringify({op:'subscribe',id:'a',device:'wearable-*'}));s.onmessage=m=>console.log(m.data)`;
  return `
Pulsegate ${version}: the demo is ready after ${seconds.toFixed(1)} s

  Dashboard       ${httpUrl}/
  MQTT broker     ${mqttUrl}
  Webhook inbox   http://127.0.0.1:${inbox.port}/  (what arrives is verified and printed below; the first alert fires within a minute)

Try, in another terminal:

  ask     curl ${httpUrl}/api/v1/devices/wearable-01/latest
  history curl '${httpUrl}/api/v1/devices/climate-01/readings?metric=temperature&from=-${past}&bucket=1h'
  watch   ${node} -e "${watch}"
  tell    mosquitto_pub -p ${port} -q 1 -t devices/my-sensor/telemetry -m '{"temperature":21.4}'

Ctrl-C stops it; readings, rules and alerts stay in ${gateway.dataDir}
`;
}

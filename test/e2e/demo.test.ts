// The demo as a person meets it: one command, the three lines it prints run to the letter, a browser that watches while
// the gateway is killed and comes back.
import { execFile, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { connectAsync } from 'mqtt';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { browserArgs, requireBrowser } from '../support/browser.ts';
import { DemoProcess } from '../support/demo-process.ts';
import { AlertList } from '../../src/contract/alert-list.ts';
import { Buckets } from '../../src/contract/reading.ts';
import { LiveTestClient } from '../support/live-client.ts';
import { tempFolder } from '../support/temp-folder.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);
const folder = tempFolder();
let demo: DemoProcess;
let browser: Browser;

beforeAll(async () => {
  demo = await DemoProcess.start(folder.path);
  browser = await chromium.launch({ executablePath: requireBrowser(), args: [...browserArgs] });
});

afterAll(async () => {
  await browser?.close();
  await demo?.stop('SIGKILL');
  folder.remove();
});

function page(path: string): string {
  return `http://127.0.0.1:${demo.ports.http}/${path}`;
}

async function ask(path: string): Promise<unknown> {
  const response = await fetch(page(`api/v1/${path}`));
  expect(response.status).toBe(200);
  return response.json();
}

/** Hours of the line for history with a reading every ten seconds, but for a few. */
async function wholeHours(): Promise<number> {
  const { stdout } = await run('sh', ['-c', demo.line('history')]);
  return Buckets.parse(JSON.parse(stdout)).buckets.filter(({ count }) => Number(count) >= 355).length;
}

/** What a page must not do: complain, be refused by its own policy, or ask anybody else. */
function watchManners(opened: Page): string[] {
  const complaints: string[] = [];
  opened.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  opened.on('pageerror', (error) => complaints.push(error.message));
  opened.on('request', (request) => {
    if (!request.url().startsWith(page(''))) complaints.push(`asked ${request.url()}`);
  });
  return complaints;
}

/** Waits until the value shown for a series carries another time than now. */
async function valueMoves(opened: Page, device: string, metric: string): Promise<void> {
  const selector = `[data-testid="live-value"][data-device="${device}"][data-metric="${metric}"]`;
  const cell = opened.locator(selector).first();
  await cell.waitFor();
  const before = await cell.getAttribute('data-time');
  await opened.locator(`${selector}[data-time]:not([data-time="${before}"])`).first().waitFor();
}

/** A chart that has the focus says in words what it shows. */
async function chartHasPoints(opened: Page, metric: string): Promise<void> {
  const named = `[data-testid="metric-chart"][data-metric="${metric}"]`;
  // What is out of sight is not drawn.
  await opened.locator(named).scrollIntoViewIfNeeded();
  const chart = opened.locator(`${named}[data-loaded="true"]`);
  await chart.locator('canvas').waitFor();
  await chart.locator('figure').focus();
  await expect.poll(() => chart.locator('figcaption').textContent()).toMatch(/now \d+ bpm; lowest \d+, highest \d+/);
}

describe('the demo', () => {
  it('answers the line to ask', async () => {
    await demo.says(/Try, in another terminal/);
    // The fleet sends its first readings in the second after the welcome.
    await expect
      .poll(async () => (await fetch(page('api/v1/devices/wearable-01/latest'))).text())
      .toContain('heart_rate');
    const { stdout } = await run('sh', ['-c', demo.line('ask')]);
    const answer: unknown = JSON.parse(stdout);
    expect(answer).toMatchObject({ device: 'wearable-01', values: { heart_rate: { unit: '/min' } } });
  });

  it('has six hours of history within seconds, and they move no alert', async () => {
    // Of the first hour only a part is in the range, and of the one that runs only a part is over.
    await expect.poll(wholeHours).toBeGreaterThanOrEqual(5);
    const began = Date.now();
    const { items } = AlertList.parse(await ask('alerts'));
    expect(items.filter(({ startedAt }) => Date.parse(startedAt) < began - 60_000)).toEqual([]);
  });

  it('knows its fleet by name and profile, and units, kinds and ranges come from those', async () => {
    expect(await ask('devices/fridge-01')).toMatchObject({
      name: 'Vaccine fridge',
      profile: 'fridge',
      tags: { site: 'clinic' },
      metricFacts: { temperature: { unit: 'Cel', kind: 'gauge', min: -60, max: 60 }, door: { kind: 'state' } },
    });
    expect(await ask('profiles/wearable')).toMatchObject({ presence: 'sleepy' });
  });

  it('tells the inbox of every device that comes', async () => {
    await demo.says(/✔ device\.online {3}wearable-04 .*\(signature verified\)/);
  });

  it('takes in the line to tell', async () => {
    await run('sh', ['-c', demo.line('tell')]);
    expect(await ask('devices/my-sensor/latest')).toMatchObject({
      values: { temperature: { value: 21.4, unit: 'Cel' } },
    });
  });

  it('streams to the line to watch', async () => {
    const child = spawn('sh', ['-c', `exec ${demo.line('watch')}`], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    await new Promise<void>((resolve, reject) => {
      child.stdout.on('data', (chunk: Buffer) => {
        said += chunk.toString();
        if (said.includes('"op":"readings"')) resolve();
      });
      child.on('exit', (code) => reject(new Error(`the line ended with ${code}: ${said}`)));
    });
    child.kill();
    const frames = said
      .split('\n')
      .filter(Boolean)
      .slice(0, 3)
      .map((line): { op: string } => JSON.parse(line));
    expect(frames.map((frame) => frame.op)).toEqual(['hello', 'subscribed', 'snapshot']);
  });

  it('brings what an MQTT client publishes to a WebSocket, to REST and to the open page', async () => {
    const opened = await browser.newPage();
    await opened.goto(page('#/devices/my-sensor'));
    const cell = opened
      .locator('[data-testid="live-value"][data-device="my-sensor"][data-metric="temperature"]')
      .first();
    // The first page of a browser takes its time.
    await expect.poll(() => cell.textContent()).toBe('21.4');
    const watcher = await LiveTestClient.connect(`ws://127.0.0.1:${demo.ports.http}/api/v1/live`);
    watcher.send({ op: 'subscribe', id: 'a', topic: 'readings', device: 'my-sensor' });
    await watcher.next('snapshot');

    const publisher = await connectAsync(`mqtt://127.0.0.1:${demo.ports.mqtt}`, { clientId: 'my-sensor' });
    const now = Date.now();
    await publisher.publishAsync('devices/my-sensor/telemetry', `{"ts":${now},"temperature":22.6}`, { qos: 1 });

    const reading = { value: 22.6, time: new Date(now).toISOString() };
    expect(await watcher.next('readings')).toMatchObject({
      readings: [{ device: 'my-sensor', metric: 'temperature', ...reading }],
    });
    expect(await ask('devices/my-sensor/latest')).toMatchObject({ values: { temperature: reading } });
    await expect.poll(() => cell.textContent()).toBe('22.6');
    await publisher.endAsync();
    watcher.socket.close();
    await watcher.closing();
    await opened.close();
  });

  it('tells the inbox of an alert within its first minute, and the signature holds', async () => {
    await demo.says(/✔ alert\.firing .*\(signature verified\)/);
    expect(demo.said).not.toContain('✘');
  });

  it.each([
    ['wide', 1280, 800, 'light'],
    ['phone', 390, 844, 'dark'],
    ['small phone', 320, 640, 'light'],
  ] as const)(
    'shows every page on a %s screen, with values that move and nothing that overflows',
    async (_name, width, height, colorScheme) => {
      const context = await browser.newContext({ viewport: { width, height }, colorScheme });
      const opened = await context.newPage();
      const complaints = watchManners(opened);
      const fits = async (): Promise<void> =>
        expect(await opened.evaluate('document.documentElement.scrollWidth - innerWidth')).toBeLessThanOrEqual(0);

      const answer = await opened.goto(page('#/'));
      expect(answer?.headers()['content-security-policy']).toContain("default-src 'self'");
      await opened.locator('[data-testid="connection"][data-state="live"]').waitFor();
      await opened.locator('[data-testid="device-tile"]').nth(15).waitFor();
      await fits();
      await opened.goto(page('#/devices'));
      await opened.locator('[data-testid="device-row"]').nth(15).waitFor();
      await fits();
      await opened.goto(page('#/devices/wearable-01'));
      await valueMoves(opened, 'wearable-01', 'heart_rate');
      await chartHasPoints(opened, 'heart_rate');
      await fits();
      await opened.goto(page('#/alerts'));
      await opened.locator('[data-testid="alert"]').first().waitFor();
      await fits();
      await opened.goto(page('#/webhooks'));
      await opened.locator('[data-testid="delivery"][data-state="succeeded"]').first().waitFor();
      await fits();
      expect(complaints).toEqual([]);
      await context.close();
    },
  );

  it('comes back after kill -9 under an open page, which says so and goes on without a reload', async () => {
    const opened = await browser.newPage();
    await opened.goto(page('#/devices/climate-01'));
    await valueMoves(opened, 'climate-01', 'temperature');
    await opened.evaluate('window.neverReloaded = true');
    const { ports } = demo;
    await demo.stop('SIGKILL');
    // After its fourth try in vain the page says offline; a slow machine may see only that.
    await opened
      .getByTestId('connection')
      .getByText(/Reconnecting|Offline/)
      .waitFor();
    await opened
      .getByTestId('connection-bar')
      .getByText(/Values are \d+ s old/)
      .waitFor();
    await endFleet(ports.mqtt);
    demo = await DemoProcess.start(folder.path, ports);
    console.log(/the demo is ready after .+/.exec(demo.said)?.[0]);
    await opened.locator('[data-testid="connection"][data-state="live"]').waitFor();
    await valueMoves(opened, 'climate-01', 'temperature');
    expect(await opened.evaluate('window.neverReloaded')).toBe(true);
    await opened.close();
  });

  it('kept what it had, and added its samples only once', async () => {
    expect(await ask('rules')).toMatchObject({ items: { length: 3 } });
    expect(await ask('webhooks')).toMatchObject({ items: { length: 1 } });
    expect(await ask('profiles')).toMatchObject({ items: { length: 6 } });
    // Nothing that the fleet can measure is outside of what its profiles call plausible.
    expect(await ask('quarantine')).toMatchObject({ items: { length: 0 } });
    expect(await ask('devices/my-sensor/readings?metric=temperature&from=-1h')).toMatchObject({
      readings: [{ value: 21.4 }, { value: 22.6 }],
    });
  });

  it('ends on Ctrl-C with exit 0 and takes its fleet along', async () => {
    const { mqtt } = demo.ports;
    expect(await demo.stop('SIGINT')).toBe(0);
    expect(fleetOf(mqtt)).toEqual([]);
  });
});

/** Processes of the simulator that speak to a broker of ours. */
function fleetOf(mqttPort: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && commandOf(name).includes(`mqtt://127.0.0.1:${mqttPort}`))
    .map(Number);
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

/** The fleet of a demo that was killed lives on; what a person would end with the terminal is ended here. */
async function endFleet(mqttPort: number): Promise<void> {
  for (const pid of fleetOf(mqttPort)) process.kill(pid, 'SIGKILL');
  await expect.poll(() => fleetOf(mqttPort)).toEqual([]);
}

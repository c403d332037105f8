// What a person does with devices: add one and hear it, let one in that waits, take what was refused, send a command,
// sign in where there are keys. In a browser, at three widths, with real MQTT clients on the other side.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { connectAsync } from 'mqtt';
import { type Browser, type BrowserContext, chromium, type Locator, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DeviceDetail } from '../../src/contract/device.ts';
import { KeyCreated } from '../../src/contract/key.ts';
import { ProvisionAnswer, ProvisioningKeyCreated } from '../../src/contract/provisioning.ts';
import { buildDashboard } from '../../src/dashboard/build.ts';
import { browserArgs, requireBrowser } from '../support/browser.ts';
import { type RunningGateway, startGateway } from '../support/gateway.ts';

const run = promisify(execFile);
const widths = [
  ['wide', 1280, 800, 'light'],
  ['phone', 390, 844, 'dark'],
  ['small', 320, 640, 'light'],
] as const;

let browser: Browser;
let running: RunningGateway;
let provisioningKey: string;

beforeAll(async () => {
  browser = await chromium.launch({ executablePath: requireBrowser(), args: [...browserArgs] });
  const { dir } = await buildDashboard();
  running = await startGateway({}, { dashboard: () => Promise.resolve(dir) });
  const { http } = running;
  const profile = { id: 'pump', metrics: { temperature: { unit: 'Cel', max: 100 } } };
  await http.send('POST', '/api/v1/profiles', profile);
  const draft = { name: 'batch', profile: 'pump', approval: true };
  ({ key: provisioningKey } = await http.post(ProvisioningKeyCreated, '/api/v1/provisioning-keys', draft, 201));
});

afterAll(async () => {
  await browser?.close();
  await running?.stop();
});

const address = (path: string): string => `http://127.0.0.1:${running.http.port}/${path}`;

/** A page of a given width that reports what broke in it, and whether it overflows. */
class Visit {
  readonly page: Page;
  readonly #context: BrowserContext;
  readonly #broken: string[] = [];

  private constructor(context: BrowserContext, page: Page) {
    this.#context = context;
    this.page = page;
    page.on('pageerror', (error) => this.#broken.push(error.message));
    // The policy of the page forbids everything but its own files and styles.
    page.on('console', (message) => {
      if (message.text().includes('Content Security Policy')) this.#broken.push(message.text());
    });
  }

  static async begin(width: number, height: number, colorScheme: 'light' | 'dark'): Promise<Visit> {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme });
    await context.grantPermissions(['clipboard-read', 'clipboard-write']);
    const page = await context.newPage();
    // It runs as time does, and can be moved on.
    await page.clock.install();
    return new Visit(context, page);
  }

  async open(hash: string): Promise<void> {
    await this.page.goto(address(hash));
  }

  async fits(): Promise<void> {
    const over = await this.page.evaluate('document.documentElement.scrollWidth - innerWidth');
    expect(over, this.page.url()).toBeLessThanOrEqual(0);
  }

  /** Waits for it, and has the page ask now for what it asks for every few seconds. */
  async soon(there: Locator): Promise<void> {
    const isThere = async (): Promise<boolean> => {
      if ((await there.count()) > 0) return true;
      await this.page.clock.fastForward(5_000);
      return false;
    };
    await expect.poll(isThere, { interval: 300 }).toBe(true);
  }

  button(name: string, within: Page | Locator = this.page): Locator {
    return within.getByRole('button', { name, exact: true });
  }

  clipboard(): Promise<string> {
    return this.page.evaluate('navigator.clipboard.readText()');
  }

  async end(): Promise<void> {
    expect(this.#broken).toEqual([]);
    await this.#context.close();
  }
}

/** The first place that shows a value of the device. */
function valueOf(page: Page, device: string): Locator {
  return page.locator(`[data-testid="live-value"][data-device="${device}"]`).first();
}

/** A device that asks for its own token, and waits for a person. */
async function provision(device: string): Promise<string> {
  const answer = await running.http.ask('/api/v1/provision', {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${provisioningKey}` },
    body: JSON.stringify({ device }),
  });
  expect(answer.status, answer.text).toBe(201);
  return ProvisionAnswer.parse(answer.json()).token;
}

function connect(device: string, token: string) {
  return connectAsync(running.mqtt.url, { clientId: device, username: device, password: token, reconnectPeriod: 0 });
}

async function publish(device: string, token: string, payload: string): Promise<void> {
  const client = await connect(device, token);
  await client.publishAsync(`devices/${device}/telemetry`, payload, { qos: 1 });
  await client.endAsync();
}

describe.each(widths)('on a %s screen', (size, width, height, colorScheme) => {
  const pump = `pump-${size}`;

  it('a device is added, its token copied, and the line that is shown brings its first reading', async () => {
    const visit = await Visit.begin(width, height, colorScheme);
    const { page } = visit;
    await visit.open('#/devices');
    await visit.button('Add device').click();
    await visit.fits();
    await page.locator('[name=id]').fill(pump);
    await page.locator('[name=name]').fill(`Pump of the ${size} screen`);
    await page.locator('[name=profile]').selectOption('pump');
    await visit.button('Add').click();
    const note = page.getByTestId('token-note');
    const token = await note.getByTestId('token').innerText();
    expect(token).toMatch(/^pulsedev_/);
    // Where the broker is, the page has from the gateway.
    expect(await note.locator('[name=broker]').inputValue()).toBe(running.mqtt.url.replace('mqtt://', ''));
    await note.locator('[name=broker]').fill('not an address');
    await note.getByText('Write a host and a port').waitFor();
    await note.locator('[name=broker]').fill(running.mqtt.url);
    await visit.fits();
    await visit.button('Copy the token').click();
    await expect.poll(() => visit.clipboard()).toBe(token);
    await visit.button('Copy the line').click();
    await expect.poll(() => visit.clipboard()).toContain('mosquitto_pub');
    await run('sh', ['-c', await visit.clipboard()]);

    await visit.button('I have it').click();
    await expect.poll(() => page.content()).not.toContain(token);
    const row = page.locator(`[data-testid="device-row"][data-device="${pump}"]`);
    await visit.soon(row.getByText('21.4'));
    await row.getByText(`Pump of the ${size} screen`).click();
    await valueOf(page, pump).getByText('21.4').waitFor();
    await visit.fits();
    await visit.end();
  });

  it('an id that is taken is refused beside the form, which keeps what was written', async () => {
    const visit = await Visit.begin(width, height, colorScheme);
    await visit.open('#/devices');
    await visit.button('Add device').click();
    await visit.page.locator('[name=id]').fill(pump);
    await visit.button('Add').click();
    await visit.page.getByTestId('add-device').getByRole('alert').waitFor();
    expect(await visit.page.locator('[name=id]').inputValue()).toBe(pump);
    await visit.fits();
    await visit.end();
  });

  it('one that waits is let in, and what it said before is taken from quarantine', async () => {
    const device = `new-${size}`;
    await publish(device, await provision(device), '{"temperature":55}');
    const visit = await Visit.begin(width, height, colorScheme);
    const { page } = visit;
    await visit.open('#/');
    await page.getByText('1 device waits for approval').waitFor();
    await visit.fits();
    await page.getByTestId('quarantine-link').click();
    const message = page.getByTestId('quarantined').filter({ hasText: `devices/${device}/telemetry` });
    await message.locator('summary').click();
    await message.getByText('{"temperature":55}').waitFor();
    await visit.button('Retry', message).click();
    await message.getByText('It is still wrong').waitFor();
    await visit.fits();

    await visit.open('#/devices');
    await visit.button(`Approve ${device}`).click();
    await page.getByTestId('approval-queue').waitFor({ state: 'detached' });

    await visit.open('#/quarantine');
    await visit.button('Retry', message).click();
    await message.waitFor({ state: 'detached' });
    await visit.open(`#/devices/${device}`);
    await valueOf(page, device).getByText('55').waitFor();
    await visit.end();
  });

  it('a command is followed until the device has answered it', async () => {
    const visit = await Visit.begin(width, height, colorScheme);
    const { page } = visit;
    const made = await running.http.send('POST', `/api/v1/devices/${pump}/tokens`, {});
    const { token } = made.json() as { token: string };
    await visit.open(`#/devices/${pump}`);
    await page.locator('[name=params]').fill('{"seconds":');
    await page.getByText('The parameters are not JSON').waitFor();
    await page.locator('[name=command]').fill('rinse');
    await page.locator('[name=params]').fill('{"seconds":30}');
    await visit.button('Send command').click();
    const command = page.getByTestId('command').first();
    await command.getByText('Queued').waitFor();
    await visit.fits();

    const client = await connect(pump, token);
    client.on('message', (topic, payload) => {
      const asked = JSON.parse(payload.toString()) as { name: string; params: unknown };
      client.publish(`${topic}/reply`, JSON.stringify({ status: 'succeeded', result: asked }), { qos: 1 });
    });
    await client.subscribeAsync(`devices/${pump}/commands/+`, { qos: 1 });
    await visit.soon(page.locator('[data-testid="command"][data-state="succeeded"]'));
    await command.getByText('"name":"rinse"').waitFor();
    await client.endAsync();
    await visit.end();
  });

  it('a device is renamed, blocked, let in again and deleted after a second thought', async () => {
    const visit = await Visit.begin(width, height, colorScheme);
    const { page } = visit;
    await visit.open(`#/devices/${pump}`);
    const settings = page.getByTestId('device-settings');
    await settings.locator('[name=name]').fill('Sump');
    await settings.locator('[name=tags]').fill('room:cellar');
    await visit.button('Save', settings).click();
    await page.getByRole('heading', { name: 'Sump' }).waitFor();
    await visit.button('Block', settings).click();
    await visit.button('Yes, block', settings).click();
    await visit.button('Unblock', settings).click();
    await visit.button('Block', settings).waitFor();
    const known = await running.http.get(DeviceDetail, `/api/v1/devices/${pump}`);
    expect(known).toMatchObject({ name: 'Sump', profile: 'pump', tags: { room: 'cellar' }, approval: 'approved' });

    await settings.locator('[name=overlap]').selectOption('1h');
    await visit.button('New token', settings).click();
    await visit.button('Yes, new token', settings).click();
    expect(await settings.getByTestId('token').innerText()).toMatch(/^pulsedev_/);
    await visit.fits();
    await visit.button('I have it', settings).click();

    await visit.button('Delete', settings).click();
    await visit.button('No', settings).click();
    await visit.button('Delete', settings).click();
    await visit.fits();
    await visit.button('Yes, delete', settings).click();
    await page.getByRole('heading', { name: 'Devices' }).waitFor();
    await page.locator(`[data-testid="device-row"][data-device="${pump}"]`).waitFor({ state: 'detached' });
    expect((await running.http.ask(`/api/v1/devices/${pump}`)).status).toBe(404);
    await visit.end();
  });
});

describe('erasing a device', () => {
  it('stands apart, asks for its id to be typed, and leaves no reading', async () => {
    for (const id of ['wreck', 'wreck-2']) {
      expect((await running.http.send('POST', '/api/v1/devices', { id })).status).toBe(201);
      const posted = await running.http.send('POST', '/api/v1/readings', [{ device: id, metric: 'x', value: 1 }]);
      expect(posted.status, posted.text).toBe(200);
    }
    const visit = await Visit.begin(390, 844, 'light');
    const { page } = visit;
    await visit.open('#/devices/wreck');
    const form = page.getByTestId('erase-device');
    const erase = visit.button('Erase for good', form);
    await erase.waitFor();
    await visit.fits();
    expect(await visit.button('Erase', page).count()).toBe(0);
    expect(await erase.isDisabled()).toBe(true);
    await form.locator('[name=confirm]').fill('wreck-2');
    expect(await erase.isDisabled()).toBe(true);
    await form.locator('[name=confirm]').press('Enter');
    expect((await running.http.ask('/api/v1/devices/wreck')).status).toBe(200);
    await form.locator('[name=confirm]').fill('wreck');
    await erase.click();
    await page.getByRole('heading', { name: 'Devices' }).waitFor();
    expect((await running.http.ask('/api/v1/devices/wreck')).status).toBe(404);
    const readings = (device: string) => running.http.ask(`/api/v1/readings?device=${device}&metric=x&from=2000-01-01`);
    expect((await readings('wreck')).text).not.toContain('"value"');
    expect((await readings('wreck-2')).text).toContain('"value"');
    await visit.end();
  });
});

describe('many at once', () => {
  it('all that wait are let in by one button, and a mended cause clears all that it held up', async () => {
    const devices = ['many-1', 'many-2', 'many-3'];
    for (const device of devices) await publish(device, await provision(device), '{"temperature":7}');
    const visit = await Visit.begin(1280, 800, 'light');
    const { page } = visit;
    await visit.open('#/devices');
    await visit.button('Approve all 3').click();
    await page.getByTestId('approval-queue').waitFor({ state: 'detached' });
    await visit.open('#/quarantine');
    await visit.button('Retry all: Device pending').click();
    await page.getByText('3 taken').or(page.getByText('Nothing is in quarantine')).first().waitFor();
    await page.getByText('Nothing is in quarantine').waitFor();
    for (const device of devices) {
      const { metrics } = await running.http.get(DeviceDetail, `/api/v1/devices/${device}`);
      expect(metrics).toEqual(['temperature']);
    }
    await visit.end();
  });
});

// Last, for from here on the gateway has a key.
describe('a gateway with keys', () => {
  let key: string;

  beforeAll(async () => {
    const draft = { name: 'page', scopes: ['admin'] };
    ({ key } = await running.http.post(KeyCreated, '/api/v1/keys', draft, 201));
  });

  it.each(widths)('on a %s screen asks for one, and shows nothing with a wrong one', async (_size, ...screen) => {
    const visit = await Visit.begin(...screen);
    const { page } = visit;
    await visit.open('#/devices');
    const prompt = page.getByTestId('key-prompt');
    await prompt.locator('[name=key]').fill(`${key.slice(0, -2)}00`);
    await visit.button('Sign in').click();
    await prompt.getByText('That key does not fit').waitFor();
    expect(await page.getByTestId('device-row').count()).toBe(0);
    expect(await page.evaluate('sessionStorage.length')).toBe(0);
    await visit.fits();
    await visit.end();
  });

  it.each(widths)('on a %s screen without a device says that one needs a token, in one line of head', async (...at) => {
    const [, ...screen] = at;
    const visit = await Visit.begin(...screen);
    const { page } = visit;
    await page.route('**/api/v1/devices?*', (route) => route.fulfill({ json: { items: [], next: null } }));
    await page.routeWebSocket(/\/live$/, (socket) => socket.close());
    await visit.open('#/');
    await page.getByTestId('key-prompt').locator('[name=key]').fill(key);
    await visit.button('Sign in').click();
    await page.getByText('No device yet').waitFor();
    expect(await page.getByText('mosquitto_pub').count()).toBe(0);
    // The widest that the head can say.
    await page.locator('[data-testid="connection"]:not([data-state="live"])').waitFor();
    expect((await visit.button('Sign out').boundingBox())?.height).toBeLessThan(40);
    await visit.fits();
    await visit.end();
  });

  it('lets in who has one, for the readings that stream as well, and forgets it at the end', async () => {
    const visit = await Visit.begin(1280, 800, 'light');
    const { page } = visit;
    const addresses: string[] = [];
    page.on('request', (request) => addresses.push(request.url()));
    page.on('websocket', (socket) => addresses.push(socket.url()));
    await visit.open('#/devices/many-1');
    await page.getByTestId('key-prompt').locator('[name=key]').fill(key);
    await visit.button('Sign in').click();
    await page.locator('[data-testid="connection"][data-state="live"]').waitFor();
    const reading = JSON.stringify([{ device: 'many-1', metric: 'temperature', value: 8.25 }]);
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
    const value = valueOf(page, 'many-1');
    await value.getByText('7').waitFor();
    expect((await running.http.ask('/api/v1/readings', { method: 'POST', headers, body: reading })).status).toBe(200);
    await value.getByText('8.3').waitFor();

    // Kept over a reload, in this tab alone.
    await page.reload();
    await value.getByText('8.3').waitFor();
    expect(await page.evaluate('Object.values(localStorage).join()')).not.toContain(key);
    await visit.button('Sign out').click();
    await page.getByTestId('key-prompt').waitFor();
    expect(await page.evaluate('sessionStorage.length')).toBe(0);
    expect(addresses.some((one) => one.startsWith('ws:'))).toBe(true);
    expect(addresses.filter((one) => one.includes('pulse_'))).toEqual([]);
    await visit.end();
  });
});

import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { fileFault } from '../base/file-fault.ts';
import { type Device, DeviceCreated, DeviceList, DeviceTokenCreated, devicesPerRequest } from '../contract/device.ts';
import { ImportFileError, readDeviceTable, readTag } from './device-table.ts';
import { type ClientFlags, GatewayClient } from './gateway-client.ts';

/* `pulsegate devices …`: everything goes over REST, so a running gateway hears of it at once. */

export interface CreateFlags extends ClientFlags {
  readonly name?: string;
  readonly profile?: string;
  readonly tag: readonly string[];
  readonly timeZone?: string;
  /** commander's `--no-token`. */
  readonly token: boolean;
}

/** Registers a device and shows its token, which nothing keeps. */
export async function createDevice(id: string, flags: CreateFlags): Promise<void> {
  const draft = {
    id,
    ...(flags.name !== undefined && { name: flags.name }),
    ...(flags.profile !== undefined && { profile: flags.profile }),
    ...(flags.timeZone !== undefined && { timeZone: flags.timeZone }),
    tags: Object.fromEntries(flags.tag.map(readTag)),
    token: flags.token,
  };
  const made = DeviceCreated.parse(await client(flags).ask('POST', '/devices', draft));
  if (made.token === null) {
    console.error(`${made.id} is registered, without a token.`);
    return;
  }
  console.log(made.token);
  console.error(
    `${made.id} is registered. The token is shown once. MQTT: user name ${made.id}, the token as password.`,
  );
}

export interface ListFlags extends ClientFlags {
  readonly device: string;
  readonly approval?: string;
  readonly state?: string;
  readonly profile?: string;
  readonly tag?: string;
}

/** One device a line: id, state, approval, profile, when it was last heard of, name. */
export async function listDevices(flags: ListFlags): Promise<void> {
  const query = new URLSearchParams({ limit: '1000', device: flags.device });
  for (const name of ['approval', 'state', 'profile', 'tag'] as const) {
    const value = flags[name];
    if (value !== undefined) query.set(name, value);
  }
  const gateway = client(flags);
  for (let page: string | null = ''; page !== null; ) {
    if (page !== '') query.set('page', page);
    const { items, next } = DeviceList.parse(await gateway.ask('GET', `/devices?${query.toString()}`));
    for (const device of items) console.log(lineOf(device));
    page = next;
  }
}

/** Lets devices in. Globs stand for those that wait. */
export async function approveDevices(ids: readonly string[], flags: ClientFlags): Promise<void> {
  const gateway = client(flags);
  const globs = ids.filter((id) => /[*?,]/.test(id));
  const devices = ids.filter((id) => !globs.includes(id));
  const requests: object[] = globs.map((device) => ({ device }));
  if (devices.length > 0) requests.push({ devices });
  let approved = 0;
  for (const body of requests) {
    approved += z.object({ approved: z.int() }).parse(await gateway.ask('POST', '/devices/approve', body)).approved;
  }
  console.error(`${approved} approved.`);
}

export async function blockDevice(id: string, flags: ClientFlags): Promise<void> {
  await client(flags).ask('POST', `${pathOf(id)}/block`);
  console.error(`${id} is blocked, and disconnected.`);
}

/** Gives a device a new token and shows it. */
export async function rotateToken(id: string, flags: ClientFlags & { readonly overlap?: string }): Promise<void> {
  const body = flags.overlap === undefined ? {} : { overlap: flags.overlap };
  const { token } = DeviceTokenCreated.parse(await client(flags).ask('POST', `${pathOf(id)}/tokens`, body));
  console.log(token);
  console.error(
    `The token is shown once. Older ones ${flags.overlap === undefined ? 'ended' : `end in ${flags.overlap}`}.`,
  );
}

/** With `readings` what it sent goes with it, for good. */
export async function deleteDevice(id: string, flags: ClientFlags & { readonly readings?: boolean }): Promise<void> {
  await client(flags).ask('DELETE', `${pathOf(id)}${flags.readings ? '?readings=true' : ''}`);
  console.error(
    flags.readings ? `${id} is forgotten, and its readings are gone.` : `${id} is forgotten; its readings stay.`,
  );
}

/** Devices of one request of an import: a request is registered whole or not at all. */
const importedAtOnce = Math.min(1_000, devicesPerRequest);

/** Registers the devices of a CSV file; ids and tokens go to standard output, progress to standard error. */
export async function importDevices(file: string, flags: ClientFlags & { readonly token: boolean }): Promise<void> {
  const devices = readDeviceTable(await textOf(file));
  const gateway = client(flags);
  if (flags.token) console.log('id,token');
  for (let from = 0; from < devices.length; from += importedAtOnce) {
    const chunk = devices.slice(from, from + importedAtOnce);
    const body = chunk.map(({ draft }) => ({ ...draft, token: flags.token }));
    const done = `${from} of ${devices.length} registered before`;
    const { items } = Made.parse(
      await gateway.ask('POST', '/devices', body).catch((error: unknown) => {
        console.error(
          `Lines ${chunk[0].line} to ${chunk.at(-1)?.line} were not registered (${done}); every pointer counts from the first of them.`,
        );
        throw error;
      }),
    );
    if (flags.token) for (const { id, token } of items) console.log(`${id},${token ?? ''}`);
    console.error(`${from + items.length} of ${devices.length}`);
  }
}

const Made = z.object({ items: z.array(DeviceCreated) });

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new ImportFileError(`${file} cannot be read: ${fileFault(error)}.`);
  }
}

function client(flags: ClientFlags): GatewayClient {
  return new GatewayClient(flags, process.env);
}

function pathOf(id: string): string {
  return `/devices/${encodeURIComponent(id)}`;
}

function lineOf({ id, state, approval, profile, lastSeen, name }: Device): string {
  return [id.padEnd(24), state.padEnd(8), approval.padEnd(9), (profile ?? '-').padEnd(16), lastSeen ?? 'never', name]
    .join(' ')
    .trimEnd();
}

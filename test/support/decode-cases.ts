import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { RejectedError } from '../../src/base/errors.ts';
import type { Decoded, DialectMessage } from '../../src/decode/decoded.ts';
import { type Sender, anySender } from '../../src/domain/principal.ts';

/*
 * A folder of cases per dialect: what came in, and what must come out.
 *
 *   name.in       the payload, byte for byte; or
 *   name.in.hex   the payload in hex; blanks, line ends and comments from # to the end of the line do not count
 *   name.json     topic, sender, time of receipt and options of the message, and what it says: see `CaseFile`
 */

const folder = new URL('../decode-cases/', import.meta.url);

const value = z.union([z.number(), z.boolean(), z.string()]);

/** Members that are left out are not there: a case that lists no status expects none. */
const CaseFile = z.strictObject({
  topic: z.string().default('devices/probe/telemetry'),
  /** The device of the sender; without it anybody is. */
  sender: z.strictObject({ device: z.string().nullable(), forOthers: z.boolean() }).optional(),
  /** Time of receipt, RFC 3339. */
  receivedAt: z.string().default('2026-09-21T14:13:20.000Z'),
  /** What the dialect takes beside the message: the device that the topic names, a precision … */
  options: z.record(z.string(), z.string()).default({}),
  /** Cases whose messages the same decoder is shown first, for dialects that remember. */
  before: z.array(z.string()).default([]),

  /** Rows of [device, metric, time, value] in order; the time in RFC 3339, or null where the payload names none. */
  readings: z.array(z.tuple([z.string(), z.string(), z.string().nullable(), value])).default([]),
  truncated: z.number().default(0),
  status: z.record(z.string(), z.string()).default({}),
  attributes: z.record(z.string(), z.record(z.string(), value)).default({}),
  replies: z.array(z.record(z.string(), z.unknown())).default([]),
  /** Payloads as text where they are JSON, else in hex. */
  requests: z.array(z.record(z.string(), z.unknown())).default([]),
  /** Then nothing else is expected. */
  error: z.strictObject({ code: z.string(), pointer: z.string() }).optional(),
});

export interface DecodeCase {
  readonly name: string;
  readonly message: DialectMessage;
  readonly options: CaseOptions;
  readonly before: readonly string[];
  readonly expected: CaseOutcome;
}

export type CaseDecoder = (message: DialectMessage, options: CaseOptions) => Decoded;

export type CaseOptions = Readonly<Record<string, string | undefined>>;

export type CaseOutcome =
  | { readonly error: { readonly code: string; readonly pointer: string } }
  | Pick<z.output<typeof CaseFile>, 'readings' | 'truncated' | 'status' | 'attributes' | 'replies' | 'requests'>;

/** The names of the folders that there are. */
export function caseFolders(): readonly string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

/** The cases of one folder by name. Throws when a payload has no expectation or an expectation no payload. */
export function loadCases(dialect: string): ReadonlyMap<string, DecodeCase> {
  const files = readdirSync(new URL(`${dialect}/`, folder));
  const stems = new Set(files.map((file) => file.replace(/\.(in|in\.hex|json)$/, '')));
  return new Map([...stems].sort().map((name) => [name, loadCase(dialect, name, files)]));
}

/** The payloads of one folder: what a fuzzer mutates. */
export function casePayloads(dialect: string): readonly Uint8Array[] {
  return [...loadCases(dialect).values()].map(({ message }) => message.payload);
}

/** What became of a message, in the form in which cases write it. */
export function caseOutcome(decode: () => Decoded): CaseOutcome {
  try {
    return shown(decode());
  } catch (error) {
    if (error instanceof RejectedError) return { error: { code: error.code, pointer: error.pointer } };
    throw error;
  }
}

function loadCase(dialect: string, name: string, files: readonly string[]): DecodeCase {
  const path = (file: string): string => fileURLToPath(new URL(`${dialect}/${file}`, folder));
  const binary = files.includes(`${name}.in.hex`);
  const payload = binary ? fromHex(readFileSync(path(`${name}.in.hex`), 'utf8')) : readFileSync(path(`${name}.in`));
  const file = CaseFile.parse(JSON.parse(readFileSync(path(`${name}.json`), 'utf8')));
  const { topic, options, before, error, receivedAt } = file;
  const { readings, truncated, status, attributes, replies, requests } = file;
  const sender: Sender = file.sender ?? anySender;
  return {
    name,
    message: { topic, payload, sender, receivedAt: Date.parse(receivedAt) },
    options,
    before,
    expected: error ? { error } : { readings, truncated, status, attributes, replies, requests },
  };
}

function fromHex(text: string): Buffer {
  const digits = text.replaceAll(/#.*$/gm, '').replaceAll(/\s/g, '');
  if (!/^([0-9a-fA-F]{2})*$/.test(digits)) throw new Error('a payload in hex has pairs of hexadecimal digits');
  return Buffer.from(digits, 'hex');
}

function shown({ devices, replies, requests }: Decoded): CaseOutcome {
  for (const { readings, timePointers, valuePointers = timePointers } of devices) {
    if (readings.length !== timePointers.length) throw new Error('a reading without a place for its time');
    if (readings.length !== valuePointers.length) throw new Error('a reading without a place for its value');
  }
  const withStatus = devices.filter(({ status }) => status !== null);
  const withAttributes = devices.filter(({ attributes }) => attributes !== null);
  return {
    readings: devices.flatMap(({ device, readings }) =>
      readings.map(({ metric, time, value }): [string, string, string | null, string | number | boolean] => [
        device,
        metric,
        time === null ? null : new Date(time).toISOString(),
        value,
      ]),
    ),
    truncated: devices.reduce((sum, device) => sum + device.truncated, 0),
    status: Object.fromEntries(withStatus.map(({ device, status }) => [device, status ?? ''])),
    attributes: Object.fromEntries(withAttributes.map(({ device, attributes }) => [device, { ...attributes }])),
    replies: replies.map((reply) => ({ ...reply })),
    requests: requests.map(({ payload, ...message }) => ({ ...message, payload: asText(payload) })),
  };
}

function asText(payload: Uint8Array): string {
  const text = Buffer.from(payload).toString('utf8');
  return Buffer.from(text).equals(payload) && /^[\x20-\x7e]*$/.test(text) ? text : Buffer.from(payload).toString('hex');
}

import { z } from 'zod';
import type { Fault } from '../base/errors.ts';
import { RegistrationDraft } from '../contract/device.ts';
import { Time } from '../contract/rest.ts';
import type { Registration } from '../domain/registration.ts';
import { FileFaults } from './catalog-error.ts';
import { pointerOf } from './json-text.ts';
import { readVersioned } from './schema-faults.ts';

/** One registration as it is from now on, or null for one that is gone. */
export interface RegistrationChange {
  readonly id: string;
  readonly registration: Registration | null;
}

const kept = z.strictObject({ ...RegistrationDraft.shape, createdAt: Time, updatedAt: Time });

/**
 * Reads `devices.json`; without times a device counts as registered at `now` (RFC 3339). Throws `FileFaults`. A sound file
 * is read in one pass: finding the places of faults costs many times as much, and is done when there are some.
 */
export function readRegistrationsText(text: string, now: string): Map<string, Registration> {
  const schema = z.strictObject({
    version: z.literal(1),
    devices: z.array(
      z.strictObject({ ...RegistrationDraft.shape, createdAt: Time.default(now), updatedAt: Time.default(now) }),
    ),
  });
  const quick = schema.safeParse(parsed(text));
  const { devices } =
    quick.success && duplicateFaults(quick.data.devices).length === 0
      ? quick.data
      : readVersioned(text, schema, (contents) => duplicateFaults(contents.devices));
  return new Map(devices.map((registration) => [registration.id, registration]));
}

/** `devices.json` in pieces of some thousand devices, one device a line, so that a change of one is a change of its line. */
export function* writeRegistrationsText(registrations: Iterable<Registration>): Generator<string> {
  let text = '{"version":1,"devices":[';
  let count = 0;
  for (const registration of registrations) {
    text += `${count++ === 0 ? '' : ','}\n${JSON.stringify(registration)}`;
    if (count % 2_000 === 0) {
      yield text;
      text = '';
    }
  }
  yield `${text}\n]}\n`;
}

/** What would keep a registration from being read again, as sentences; empty for a sound one. */
export function registrationFaults(registration: Registration): readonly Fault[] {
  const result = kept.safeParse(registration);
  if (result.success) return [];
  return result.error.issues.map((issue) => ({
    pointer: pointerOf(issue.path),
    code: 'validation_failed',
    detail: issue.message,
  }));
}

const line = z.strictObject({ put: z.array(kept), forget: z.array(z.string()) });

/** One line of `devices.journal`, with its end: everything that one write to the disk changed, so that it is there whole or not. */
export function writeJournalLine(changes: readonly RegistrationChange[]): string {
  const put = changes.flatMap(({ registration }) => registration ?? []);
  const forget = changes.flatMap(({ id, registration }) => (registration === null ? [id] : []));
  return `${JSON.stringify({ put, forget })}\n`;
}

/**
 * Reads `devices.journal`, and says how many of its bytes hold. A last line that is not whole (no end, or holes where the
 * disk had not written yet) was never acknowledged and is left out. Throws `FileFaults` for anything else that is broken.
 */
export function readJournalText(text: string): {
  readonly changes: readonly RegistrationChange[];
  readonly bytes: number;
} {
  const end = text.lastIndexOf('\n') + 1;
  const lines = text.slice(0, end).split('\n').slice(0, -1);
  if (end === text.length && lines.at(-1)?.includes('\0')) lines.pop();
  const changes = lines.flatMap((one, index) => readLine(one, index + 1));
  return { changes, bytes: lines.reduce((sum, one) => sum + Buffer.byteLength(one) + 1, 0) };
}

function readLine(text: string, number: number): RegistrationChange[] {
  const result = line.safeParse(parsed(text));
  if (result.success) {
    return [
      ...result.data.put.map((registration) => ({ id: registration.id, registration })),
      ...result.data.forget.map((id) => ({ id, registration: null })),
    ];
  }
  const detail = 'this line is not what was written; what follows it cannot be trusted either';
  throw new FileFaults([{ pointer: '', code: 'validation_failed', detail, place: { line: number, column: 1 } }]);
}

/** undefined, which no schema takes, for what is not JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text.replace(/^\ufeff/, ''));
  } catch {
    return undefined;
  }
}

function duplicateFaults(devices: readonly Registration[]): readonly Fault[] {
  const seen = new Set<string>();
  return devices.flatMap(({ id }, index) => {
    if (seen.size !== seen.add(id).size) return [];
    return [
      { pointer: `/devices/${index}/id`, code: 'validation_failed', detail: `the device "${id}" is given twice` },
    ];
  });
}

import type { MappedReading } from '../api/ports.ts';
import { RejectedError } from '../base/errors.ts';
import { compileMapping } from '../decode/mapping.ts';
import type { PayloadOptions } from '../decode/payload.ts';
import type { Mapping } from '../domain/mapping.ts';
import { mappingFaults } from '../domain/mapping-faults.ts';
import { anySender } from '../domain/principal.ts';

/**
 * What a mapping makes of a message; times null where it is the time of receipt. Throws `RejectedError`, also
 * `validation_failed` with every fault of a mapping that nobody has looked at yet.
 */
export function tryMapping(
  mapping: Mapping,
  topic: string,
  payload: Uint8Array,
  receivedAt: number,
  payloads: PayloadOptions,
): readonly MappedReading[] {
  const errors = mappingFaults(mapping).map((fault) => ({ ...fault, pointer: `/mapping${fault.pointer}` }));
  if (errors.length > 0) {
    throw new RejectedError('validation_failed', errors[0].detail, { pointer: errors[0].pointer, errors });
  }
  const dialect = compileMapping(mapping, payloads).at(topic);
  if (!dialect) throw new RejectedError('mapping_mismatch', `the topic does not fit the pattern "${mapping.topic}"`);
  const { devices } = dialect.decode({ topic, payload, sender: anySender, receivedAt, again: false });
  return devices.flatMap(({ device, readings }) =>
    readings.map(({ metric, time, value }) => ({ device, metric, time, value })),
  );
}

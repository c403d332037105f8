import type { Config } from '../config/schema.ts';
import { Dialects } from '../decode/dialects.ts';
import { Homie } from '../decode/homie.ts';
import type { PayloadOptions } from '../decode/payload.ts';
import { Sparkplug } from '../decode/sparkplug.ts';
import { Thingsboard } from '../decode/thingsboard.ts';
import type { Mapping } from '../domain/mapping.ts';
import type { Memory } from './memory.ts';
import type { Surroundings } from './surroundings.ts';

/** Every way of writing readings on topics of its own. */
export function buildDialects({ config }: Surroundings, memory: Memory, mappings: readonly Mapping[]): Dialects {
  const { sparkplugHost } = config.ingest;
  const dialects = new Dialects({
    mappings,
    dialects: [
      new Thingsboard({ attributes: (device) => memory.devices.get(device)?.attributes ?? {} }),
      new Sparkplug({ host: sparkplugHost === '' ? null : sparkplugHost }),
      new Homie(),
    ],
    payloads: payloadOptions(config),
  });
  return dialects;
}

/** What the configuration says of payloads. */
export function payloadOptions({ ingest }: Config): PayloadOptions {
  return { influxTags: { device: ingest.influxDeviceTags, metric: ingest.influxMetricTags } };
}

import { isIPv6 } from 'node:net';

/** The name of a SenML record, taken apart. */
export interface SenmlName {
  /** What may be a device id; null where the name holds none. */
  readonly device: string | null;
  /** What is left for the metric, `/` written as `.`; "" where the name names the device alone. */
  readonly metric: string;
}

// RFC 9039: `urn:dev:` type `:` identifier, then components and whatever a device adds after a separator.
const deviceUrn = /^urn:dev:[a-z0-9]+:[A-Za-z0-9.-]+/i;

/**
 * Takes the resolved name of a record (base name and name, RFC 8428 section 4.5.1) apart. When the topic names the
 * device, all of the name is the metric, without the device where it begins with it: as a device URN (RFC 9039), or with
 * the id that the topic has. Otherwise a device URN or an IPv6 address is the device, and in any other name what stands
 * before the last `/`, or the last `:` where there is none; a `/` inside becomes `-`, which ids may have.
 */
export function splitSenmlName(name: string, topicDevice: string | null): SenmlName {
  const urn = deviceUrn.exec(name)?.[0];
  if (urn !== undefined) return { device: topicDevice ?? urn, metric: metricOf(name.slice(urn.length)) };
  if (topicDevice !== null) return { device: topicDevice, metric: behindDevice(name, topicDevice) };
  if (isIPv6(name)) return { device: name, metric: '' };
  const slash = name.lastIndexOf('/');
  const split = slash === -1 ? name.lastIndexOf(':') : slash;
  if (split === -1) return { device: null, metric: dotted(name) };
  return { device: name.slice(0, split).replaceAll('/', '-'), metric: metricOf(name.slice(split)) };
}

/** A record whose name names the device alone is told apart by its unit, as in RFC 8428 section 5.1.3: `lon`, `lat`, `RH`. */
export function metricOfUnit(unit: string): string {
  const name = unit.replaceAll('/', '.').replaceAll(/[^A-Za-z0-9_.:-]/g, '');
  return /^[A-Za-z0-9_]/.test(name) ? name : 'value';
}

function behindDevice(name: string, device: string): string {
  if (!name.startsWith(device)) return dotted(name.replace(/:+$/, ''));
  const next = name.at(device.length);
  return next === undefined || '/:._-'.includes(next) ? metricOf(name.slice(device.length)) : dotted(name);
}

/** What follows the device: behind a `/` the name is the metric's own; other separators may be of a base name. */
function metricOf(rest: string): string {
  return dotted(rest.startsWith('/') ? rest : rest.replaceAll(/^[:_.-]+|:+$/g, ''));
}

/** `/` becomes `.`; what no metric can begin with is left out. */
function dotted(name: string): string {
  return name.replaceAll(/^[/:.-]+|\/+$/g, '').replaceAll('/', '.');
}

import { RejectedError } from '../base/errors.ts';
import { deviceIdRule, isDeviceId, isMetricName, metricNameRule } from './series.ts';

/** What a topic of the native dialect asks for. */
export type DeviceTopic =
  | { readonly kind: 'telemetry'; readonly device: string; readonly metric: string | null }
  | { readonly kind: 'status'; readonly device: string }
  | { readonly kind: 'attributes'; readonly device: string }
  | { readonly kind: 'reply'; readonly device: string; readonly command: string }
  /** What the gateway says to a device, heard by it when the broker is not its own. It calls for nothing. */
  | { readonly kind: 'notice'; readonly device: string };

/** Whether the native dialect claims the topic: everything under `devices/`. All else is relayed untouched. */
export function isDeviceTopic(topic: string): boolean {
  return topic.startsWith('devices/');
}

/**
 * Reads a topic under `devices/`. The metric may go over several levels, `/` becoming `.`. Throws `RejectedError`
 * (`topic_invalid`, `device_invalid`, `metric_invalid`) that says what the topic should look like.
 */
export function parseDeviceTopic(topic: string): DeviceTopic {
  const [, device = '', kind, ...rest] = topic.split('/');
  if (!isDeviceId(device)) {
    throw new RejectedError('device_invalid', `the device id in "${shown(topic)}" must be ${deviceIdRule}`);
  }
  if (kind === 'telemetry') {
    if (rest.length === 0) return { kind: 'telemetry', device, metric: null };
    const metric = rest.join('.');
    if (rest.includes('') || !isMetricName(metric)) {
      throw new RejectedError('metric_invalid', `the metric in "${shown(topic)}" must be ${metricNameRule}`);
    }
    return { kind: 'telemetry', device, metric };
  }
  if ((kind === 'status' || kind === 'attributes') && rest.length === 0) return { kind, device };
  if (kind === 'commands' && rest.length === 2 && rest[1] === 'reply' && rest[0] !== '') {
    return { kind: 'reply', device, command: rest[0] };
  }
  if (isNotice(kind, rest)) return { kind: 'notice', device };
  throw new RejectedError(
    'topic_invalid',
    `"${shown(topic)}" is not a topic of the native dialect; use devices/{device}/telemetry, …/telemetry/{metric}, …/status or …/attributes`,
  );
}

function isNotice(kind: string | undefined, rest: readonly string[]): boolean {
  switch (kind) {
    case 'commands':
      return rest.length === 1 && rest[0] !== '';
    case 'throttle':
      return rest.length === 0;
    case 'provision':
      return rest.length === 0 || (rest.length === 1 && rest[0] === 'reply');
    default:
      return false;
  }
}

/** Topics come from strangers: control characters are escaped and the length bounded before they are shown. */
export function shown(topic: string): string {
  const escaped = topic.replaceAll(
    // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
    /[\u0000-\u001f\u007f]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
  return escaped.length > 200 ? `${escaped.slice(0, 200)}…` : escaped;
}

import { RejectedError } from '../base/errors.ts';
import { deviceIdRule, isDeviceId } from '../domain/series.ts';
import { shown } from '../domain/topic.ts';
import { foreignDevice } from './foreign-name.ts';

export const sparkplugNamespace = 'spBv1.0/';

/** Sparkplug B 3.0 section 4.1: `spBv1.0/{group}/{type}/{edge node}[/{device}]`, and the state of host applications. */
export type SparkplugTopic =
  | { readonly type: 'STATE'; readonly host: string }
  | {
      readonly type: 'NBIRTH' | 'NDEATH' | 'NDATA' | 'NCMD';
      readonly group: string;
      readonly edge: string;
      readonly device: null;
    }
  | {
      readonly type: 'DBIRTH' | 'DDEATH' | 'DDATA' | 'DCMD';
      readonly group: string;
      readonly edge: string;
      readonly device: string;
    };

/** A group that is longer is nobody's: it would be remembered with every edge node. */
const groupLengthMax = 256;

/** Throws `topic_invalid`. */
export function parseSparkplugTopic(topic: string): SparkplugTopic {
  const [, group = '', type, edge = '', device, ...rest] = topic.split('/');
  if (group === 'STATE' && type !== undefined && type !== '' && edge === '') return { type: 'STATE', host: type };
  if (group !== '' && group.length <= groupLengthMax && edge !== '' && rest.length === 0) {
    switch (type) {
      case 'NBIRTH':
      case 'NDEATH':
      case 'NDATA':
      case 'NCMD':
        if (device === undefined) return { type, group, edge, device: null };
        break;
      case 'DBIRTH':
      case 'DDEATH':
      case 'DDATA':
      case 'DCMD':
        if (device !== undefined && device !== '') return { type, group, edge, device };
        break;
      default:
    }
  }
  throw new RejectedError('topic_invalid', `"${shown(topic)}" is no topic of Sparkplug B 3.0`);
}

/**
 * An edge node is the device of its id, and the group is one of its attributes: two groups with the same edge node in
 * them speak of one device. Throws `device_invalid`.
 */
export function edgeId(edge: string): string {
  return checked(foreignDevice(edge));
}

/**
 * A device behind an edge node is `{edge}:{device}`. Its own part holds no colon, so that an edge node can speak for no
 * device of more levels than that. Throws `device_invalid`.
 */
export function deviceIdBehind(edge: string, device: string): string {
  return checked(`${foreignDevice(edge)}:${foreignDevice(device).replaceAll(':', '-')}`);
}

function checked(device: string): string {
  if (isDeviceId(device)) return device;
  throw new RejectedError(
    'device_invalid',
    `the topic names the device "${device}", and a device id must be ${deviceIdRule}`,
  );
}

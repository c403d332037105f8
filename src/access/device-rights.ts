import type { TopicRights } from '../domain/principal.ts';

/**
 * What a device may do on MQTT: everything below names of its own in every dialect, and nothing else. `mapped` are the
 * filters of the user's mappings with this device's id in place of the part that names it.
 */
export function deviceRights(
  device: string,
  options: { readonly forOthers: boolean; readonly mapped: readonly string[] },
): TopicRights {
  const own = [`devices/${device}/#`, `v1/devices/me/#`, `homie/5/${device}/#`, ...options.mapped];
  const sparkplugUp = [
    ...['NBIRTH', 'NDEATH', 'NDATA'].map((type) => `spBv1.0/+/${type}/${device}`),
    ...['DBIRTH', 'DDEATH', 'DDATA'].map((type) => `spBv1.0/+/${type}/${device}/+`),
  ];
  const sparkplugDown = [`spBv1.0/+/NCMD/${device}`, `spBv1.0/+/DCMD/${device}/+`, 'spBv1.0/STATE/#'];
  const others = options.forOthers ? ['v1/gateway/#', `spBv1.0/+/+/${device}/#`, 'homie/5/#'] : [];
  return {
    publish: [...own, ...sparkplugUp, ...others],
    subscribe: [...own, ...sparkplugUp, ...sparkplugDown, ...others],
  };
}

/** A device without a token may ask for one, and hear the answer. */
export function provisioningRights(device: string): TopicRights {
  return { publish: [`devices/${device}/provision`], subscribe: [`devices/${device}/provision/reply`] };
}

/**
 * Whether a topic below `devices/{device}/` is one on which the gateway speaks to the device: throttling, commands and
 * the answer to provisioning. A device must not publish there, or it could command itself in the gateway's name.
 */
export function isDownward(device: string, topic: string): boolean {
  const own = `devices/${device}/`;
  if (!topic.startsWith(own)) return false;
  const rest = topic.slice(own.length);
  if (rest === 'throttle' || rest === 'provision/reply') return true;
  return rest.startsWith('commands') && /^commands(\/|$)/.test(rest) && !/^commands\/[^/]+\/reply$/.test(rest);
}

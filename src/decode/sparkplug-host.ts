import type { OutgoingMessage } from '../domain/outgoing-message.ts';
import { datatype } from './sparkplug-value.ts';
import { writeSparkplug } from './sparkplug-payload.ts';
import { sparkplugNamespace } from './sparkplug-topic.ts';

/**
 * The state of a primary host application (Sparkplug B 3.0 section 5.3), retained: published online at the start, and
 * offline at the stop or as the last will. `at`: epoch ms, the same for a will and the birth that goes with it.
 */
export function sparkplugState(host: string, online: boolean, at: number): OutgoingMessage {
  return {
    topic: `${sparkplugNamespace}STATE/${host}`,
    payload: Buffer.from(JSON.stringify({ online, timestamp: at })),
    qos: 1,
    retain: true,
    device: null,
  };
}

/** Asks an edge node to be born again (section 5.7). `at`: epoch ms. */
export function rebirthRequest(group: string, edge: string, at: number): OutgoingMessage {
  const timestamp = BigInt(Math.trunc(at));
  const metric = {
    name: 'Node Control/Rebirth',
    alias: null,
    timestamp,
    datatype: datatype.boolean,
    isTransient: false,
    isNull: false,
    value: { kind: 'boolean', value: true },
  } as const;
  return {
    topic: `${sparkplugNamespace}${group}/NCMD/${edge}`,
    payload: writeSparkplug({ timestamp, metrics: [metric], seq: null }),
    qos: 0,
    retain: false,
    device: null,
  };
}

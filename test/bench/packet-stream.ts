import { deviceName } from './paced-fleet.ts';
import { packetId, publishPacket } from './sender.ts';

/** All packets of one connection, one after the other. */
export interface Packets {
  readonly bytes: Buffer;
  /** Where packet n begins; one more at the end. */
  readonly starts: Uint32Array;
}

/** What every message has a reading of. */
export const metrics = ['temperature', 'humidity', 'battery'];

/** One message a second of its device, the last one now. The last is of QoS 1 in any case, so that the end is answered. */
export function packetsOf(connection: number, count: number, qos: 0 | 1): Packets {
  const starts = new Uint32Array(count + 1);
  const begin = Date.now() - count * 1_000;
  const topic = `devices/${deviceName(connection)}/telemetry`;
  const packets = Array.from({ length: count }, (_, index) => {
    const temperature = 20 + ((index * 7 + connection) % 1_000) / 100;
    const humidity = 40 + ((index * 13 + connection) % 200) / 10;
    const battery = 100 - (index % 9_000) / 100;
    const payload = `{"ts":${begin + index * 1_000},"temperature":${temperature.toFixed(2)},"humidity":${humidity.toFixed(1)},"battery":${battery.toFixed(2)}}`;
    const id = qos === 1 ? packetId(index) : index === count - 1 ? packetId(0) : null;
    const packet = publishPacket(topic, id, payload);
    starts[index + 1] = starts[index] + packet.length;
    return packet;
  });
  return { bytes: Buffer.concat(packets), starts };
}

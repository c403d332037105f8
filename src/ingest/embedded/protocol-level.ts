/** CONNACK, unacceptable protocol version (MQTT 3.1.1 section 3.2). */
export const unacceptableLevelPacket = Buffer.from([0x20, 2, 0, 1]);

const connect = 0x10;
/** With this bit Mosquitto says that it is a bridge. */
const bridgeBit = 0x80;

/**
 * The protocol level of a CONNECT that lies at the beginning of a connection, when it is none that the broker speaks: not
 * 3 (MQTT 3.1) and not 4 (MQTT 3.1.1). Such a client is owed an answer ([MQTT-3.1.2-2]), and the parser would end the
 * connection without. Null for everything else, so also when the level has not come yet.
 */
export function unacceptableLevel(bytes: Uint8Array): number | null {
  if (bytes[0] !== connect) return null;
  let at = 1;
  while (at < 4 && bytes[at] >= 0x80) at++;
  // The protocol name with its length, then the level (section 3.1.2).
  const nameStart = at + 3;
  const nameLength = (bytes[at + 1] << 8) | bytes[at + 2];
  const level = bytes.at(nameStart + nameLength);
  if (level === undefined || nameStart + nameLength >= bytes.length) return null;
  const name = Buffer.from(bytes.subarray(nameStart, nameStart + nameLength)).toString('latin1');
  if (name !== 'MQTT' && name !== 'MQIsdp') return null;
  const plain = level & ~bridgeBit;
  return plain === 3 || plain === 4 ? null : level;
}

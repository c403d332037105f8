/**
 * A 53-bit hash over topic and payload, by which a redelivered message is told from a new one that happens to carry the
 * same packet id. Two independent 32-bit multiply-xor lanes; not cryptographic: a client could only fool itself.
 */
export function fingerprint(topic: string, payload: Uint8Array): number {
  let low = 0x9e3779b1 ^ payload.length;
  let high = 0x85ebca77 ^ topic.length;
  for (let index = 0; index < topic.length; index++) {
    const code = topic.charCodeAt(index);
    low = Math.imul(low ^ code, 0x01000193);
    high = Math.imul(high ^ code, 0x5bd1e995);
  }
  for (let index = 0; index < payload.length; index++) {
    low = Math.imul(low ^ payload[index], 0x01000193);
    high = Math.imul(high ^ payload[index], 0x5bd1e995);
    high ^= high >>> 15;
  }
  low = Math.imul(low ^ (low >>> 16), 0x85ebca6b);
  high = Math.imul(high ^ (high >>> 13), 0xc2b2ae35);
  return ((high ^ (low >>> 11)) & 0x1fffff) * 4_294_967_296 + ((low ^ (high >>> 16)) >>> 0);
}

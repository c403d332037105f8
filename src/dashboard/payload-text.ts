import type { Quarantined } from '../contract/quarantine.ts';

/** The payload for a person: text as it came, bytes that are no text in hexadecimal, sixteen a line. */
export function payloadText({ payload, encoding }: Pick<Quarantined, 'payload' | 'encoding'>): string {
  if (encoding === 'utf-8') return payload;
  const bytes = Uint8Array.from(atob(payload), (char) => char.charCodeAt(0));
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) {
    lines.push(Array.from(bytes.subarray(at, at + 16), (byte) => byte.toString(16).padStart(2, '0')).join(' '));
  }
  return lines.join('\n');
}

/** A code of the error registry in words: `payload_not_json` is "Payload not json". */
export function reasonText(code: string): string {
  const words = code.replaceAll('_', ' ').replaceAll(/\b(json|id)\b/g, (word) => word.toUpperCase());
  return words.charAt(0).toUpperCase() + words.slice(1);
}

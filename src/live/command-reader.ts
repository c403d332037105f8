import { type ClientCommand, type ErrorFrame, PingFrame, SubscribeFrame, UnsubscribeFrame } from '../contract/live.ts';
import { isGlob } from '../domain/glob.ts';

/** What a message asks for, or why it cannot be understood (with the subscription it speaks of, where it says one). */
export type Heard =
  | { readonly kind: 'command'; readonly command: ClientCommand }
  | { readonly kind: 'refusal'; readonly error: Omit<ErrorFrame, 'op'> };

/** Reads one text message of a client. Never throws. */
export function readCommand(text: string): Heard {
  const message = parseObject(text);
  if (!message) return refusal('payload_not_json', 'a message is one JSON object');
  const { op } = message;
  const schema = op === 'subscribe' ? SubscribeFrame : op === 'unsubscribe' ? UnsubscribeFrame : PingFrame;
  if (op !== 'subscribe' && op !== 'unsubscribe' && op !== 'ping') {
    return refusal('op_unknown', '"op" is one of subscribe, unsubscribe and ping', message.id);
  }
  const parsed = schema.safeParse(message);
  if (!parsed.success) {
    const faults = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'message'}: ${issue.message}`);
    return refusal('validation_failed', faults.join('; ').slice(0, 500), message.id);
  }
  const command = parsed.data;
  if (command.op === 'subscribe') {
    for (const member of ['device', 'metric'] as const) {
      if (isGlob(command[member])) continue;
      return refusal(
        'filter_invalid',
        `${member}: use name characters, *, ? and commas between alternatives`,
        message.id,
      );
    }
  }
  return { kind: 'command', command };
}

function refusal(code: ErrorFrame['code'], message: string, id?: unknown): Heard {
  const named = typeof id === 'string' && id.length >= 1 && id.length <= 64 ? { id } : {};
  return { kind: 'refusal', error: { ...named, code, message } };
}

function parseObject(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const parsed: unknown = JSON.parse(text);
    return isObject(parsed) ? parsed : null;
  } catch {
    return null;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

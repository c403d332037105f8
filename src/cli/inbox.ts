import { Buffer } from 'node:buffer';
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type Clock, systemClock } from '../base/clock.ts';
import { WebhookBody } from '../contract/webhook-body.ts';

export interface InboxOptions {
  /** 0 takes a free one. */
  readonly port: number;
  /** Asked for at every request; a signature by any of them will do. */
  readonly secrets: () => readonly string[];
  /** Gets one line for every event, and one for every refusal. */
  readonly print: (line: string) => void;
  readonly clock?: Clock;
}

export interface Inbox {
  readonly port: number;
  /** Verified events so far, each counted once however often it came. */
  count(): number;
  stop(): Promise<void>;
}

/** How far a `webhook-timestamp` may lie from now, in seconds; older ones may be replays. */
const toleranceSeconds = 300;
const bodyBytesMax = 1_048_576;
/** Ids that are remembered to tell a repetition. */
const idsMax = 10_000;

/**
 * A receiver of webhooks on loopback that does what every receiver should: it verifies the Standard Webhooks signature
 * over the raw body, refuses what is older than five minutes, tells repetitions by their `webhook-id`, and answers before
 * it does anything slow. Rejects when the port is taken.
 */
export async function startInbox(options: InboxOptions): Promise<Inbox> {
  const clock = options.clock ?? systemClock;
  const seen = new Set<string>();
  let count = 0;

  async function take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'POST') {
      response.writeHead(405, { allow: 'POST' }).end();
      return;
    }
    const body = await readBody(request);
    if (body === null) {
      response.writeHead(413).end();
      return;
    }
    const fault = verify(request, body, options.secrets(), Math.floor(clock.now() / 1_000));
    if (fault !== null) {
      response.writeHead(400).end(fault);
      options.print(`✘ refused: ${fault}`);
      return;
    }
    response.writeHead(204).end();
    const id = header(request, 'webhook-id');
    if (seen.has(id)) return;
    remember(seen, id);
    count++;
    options.print(`✔ ${describe(body)}  (signature verified)`);
  }

  const server = createServer((request, response) => {
    // A sender that hangs up in the middle has sent nothing.
    take(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, '127.0.0.1', resolve);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : options.port,
    count: () => count,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

/** What is wrong with the signature, or null when it is right. */
function verify(request: IncomingMessage, body: Buffer, secrets: readonly string[], nowSeconds: number): string | null {
  const id = header(request, 'webhook-id');
  const timestamp = header(request, 'webhook-timestamp');
  const signatures = header(request, 'webhook-signature').split(' ');
  if (id === '' || !/^\d{1,12}$/.test(timestamp)) return 'webhook-id or webhook-timestamp is missing';
  if (Math.abs(nowSeconds - Number(timestamp)) > toleranceSeconds) return 'webhook-timestamp is too far from now';
  for (const secret of secrets) {
    const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
    const digest = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64');
    const expected = Buffer.from(`v1,${digest}`);
    for (const signature of signatures) {
      const given = Buffer.from(signature);
      // Comparing in constant time keeps the answer's delay from telling how much was right.
      if (given.length === expected.length && timingSafeEqual(given, expected)) return null;
    }
  }
  return 'webhook-signature does not match';
}

/** For example `alert.firing    heart_rate 131 > 120  wearable-01`. */
function describe(body: Buffer): string {
  const parsed = WebhookBody.safeParse(parseJson(body.toString()));
  if (!parsed.success) return 'an event that this inbox does not know';
  const { type, data } = parsed.data;
  if ('device' in data) return `${type.padEnd(14)}  ${data.device.id}  ${data.device.cause}`;
  const { metric, value, threshold, device } = data.alert;
  const relation = value > threshold ? '>' : value < threshold ? '<' : '=';
  return `${type.padEnd(14)}  ${metric} ${value} ${relation} ${threshold}  ${device}`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The raw body, or null when it is too long. */
async function readBody(request: IncomingMessage): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    // Read to its end all the same: a sender that is cut off while it writes never sees the answer.
    if (length <= bodyBytesMax) chunks.push(chunk);
  }
  return length > bodyBytesMax ? null : Buffer.concat(chunks);
}

function remember(seen: Set<string>, id: string): void {
  seen.add(id);
  const [oldest] = seen;
  if (seen.size > idsMax && oldest !== undefined) seen.delete(oldest);
}

function header(request: IncomingMessage, name: string): string {
  const value = request.headers[name];
  return typeof value === 'string' ? value : '';
}

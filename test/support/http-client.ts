import { type IncomingHttpHeaders, request } from 'node:http';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** What came behind the body. */
  readonly trailers: Readonly<Record<string, string | undefined>>;
  readonly text: string;
  /** The body as JSON; throws when it is none. */
  json(): unknown;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text is sent with its length, an array chunk by chunk. */
  readonly body?: string | readonly (string | Uint8Array)[];
  readonly signal?: AbortSignal;
}

/** One request on a connection of its own, the target sent exactly as given. */
export function ask(port: number, path: string, options: Ask = {}): Promise<Answer> {
  const { method = 'GET', headers = {}, body, signal } = options;
  return new Promise((resolve, reject) => {
    const length: Record<string, string> =
      typeof body === 'string' ? { 'content-length': String(Buffer.byteLength(body)) } : {};
    const sent = request(
      { host: '127.0.0.1', port, path, method, headers: { ...length, ...headers }, agent: false, signal },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          const { statusCode = 0, headers, trailers } = response;
          resolve({ status: statusCode, headers, trailers, text, json: () => JSON.parse(text) });
        });
      },
    );
    sent.on('error', reject);
    for (const chunk of typeof body === 'string' ? [body] : (body ?? [])) sent.write(chunk);
    sent.end();
  });
}

/** A request with a JSON body. */
export function send(port: number, method: string, path: string, body: unknown): Promise<Answer> {
  return ask(port, path, { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
}

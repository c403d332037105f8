import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';

/** What the proxy does with a request: passes it on, never answers, answers itself, or hangs up after so many bytes of the answer. */
export type Mishap =
  | { readonly kind: 'none' }
  | { readonly kind: 'silence' }
  | { readonly kind: 'answer'; readonly status: number }
  | { readonly kind: 'cut'; readonly afterBytes: number };

export interface FlakyProxy {
  readonly url: string;
  /** Method and target of every request, in order of arrival. */
  readonly requests: readonly string[];
  stop(): Promise<void>;
}

/** Stands between a client and the gateway on `port`; `mishap` decides about the request of that number, from 0. */
export async function startFlakyProxy(port: number, mishap: (number: number) => Mishap): Promise<FlakyProxy> {
  const requests: string[] = [];

  function pass(from: IncomingMessage, to: ServerResponse, cutAfter: number): void {
    const { method, url, headers } = from;
    const onward = request({ host: '127.0.0.1', port, method, path: url, headers }, (answer) => {
      to.writeHead(answer.statusCode ?? 502, answer.headers);
      let left = cutAfter;
      answer.on('data', (chunk: Buffer) => {
        const rest = left;
        left -= chunk.length;
        if (left > 0) to.write(chunk);
        else if (rest > 0) to.write(chunk.subarray(0, rest), () => to.destroy());
      });
      answer.on('end', () => to.end());
    });
    onward.on('error', () => to.destroy());
    to.on('close', () => onward.destroy());
    from.pipe(onward);
  }

  const server = createServer((from, to) => {
    const happens = mishap(requests.length);
    requests.push(`${from.method} ${from.url}`);
    if (happens.kind === 'answer') {
      from.resume();
      from.on('end', () => to.writeHead(happens.status, { 'retry-after': '0' }).end());
    } else if (happens.kind !== 'silence') {
      pass(from, to, happens.kind === 'cut' ? happens.afterBytes : Number.POSITIVE_INFINITY);
    }
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy does not listen');
  return {
    url: `http://127.0.0.1:${address.port}`,
    requests,
    async stop() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
    },
  };
}

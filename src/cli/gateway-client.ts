import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { Problem } from '../contract/rest.ts';

/** Where a command finds the gateway, as commander hands it over. */
export interface ClientFlags {
  readonly url: string;
  readonly key?: string | undefined;
}

/** A command could not be carried out; the message is for people. */
export class GatewayAnswerError extends Error {
  override readonly name = 'GatewayAnswerError';
  /** The code of the problem; null when no gateway answered at all. */
  readonly code: string | null;

  constructor(message: string, code: string | null) {
    super(message);
    this.code = code;
  }
}

/** What Node and OpenSSL call a certificate that they do not trust. */
const certificateFault = /CERT|UNABLE_TO_VERIFY/;

/** REST as the command line speaks it: what is not a success is an error that says what to do. */
export class GatewayClient {
  readonly #base: URL;
  readonly #key: string | undefined;

  /** Throws `GatewayAnswerError` for a URL that is none. The key may come from `PULSEGATE_KEY`. */
  constructor(flags: ClientFlags, env: Readonly<Record<string, string | undefined>>) {
    const base = URL.parse(flags.url);
    if (!base || !/^https?:$/.test(base.protocol)) {
      throw new GatewayAnswerError(`"${flags.url}" is not an http or https URL; see --url`, null);
    }
    this.#base = base;
    this.#key = flags.key ?? env.PULSEGATE_KEY;
  }

  /** The JSON of the answer, undefined for an empty one. `path` begins behind `/api/v1`. */
  async ask(method: string, path: string, body?: unknown): Promise<unknown> {
    const { status, text } = await this.#send(method, path, body === undefined ? undefined : JSON.stringify(body));
    if (status >= 200 && status < 300) return text === '' ? undefined : JSON.parse(text);
    throw refusal(status, text);
  }

  #send(method: string, path: string, body: string | undefined): Promise<{ status: number; text: string }> {
    const url = new URL(`${this.#base.pathname.replace(/\/$/, '')}/api/v1${path}`, this.#base);
    const headers: Record<string, string> = { accept: 'application/json' };
    if (this.#key !== undefined) headers.authorization = `Bearer ${this.#key}`;
    if (body !== undefined) {
      headers['content-type'] = 'application/json';
      headers['content-length'] = String(Buffer.byteLength(body));
    } else if (method !== 'GET') {
      headers['content-type'] = 'application/json';
    }
    const send = url.protocol === 'https:' ? requestHttps : requestHttp;
    return new Promise((resolve, reject) => {
      const sent = send(url, { method, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
      });
      sent.on('error', (error: NodeJS.ErrnoException) => {
        const advice = certificateFault.test(error.code ?? '')
          ? 'NODE_EXTRA_CA_CERTS=ca.pem makes an authority of your own trusted'
          : 'is one running there? "pulsegate start" starts it, --url says where it is';
        reject(new GatewayAnswerError(`No gateway answers at ${url.origin} (${error.message}); ${advice}.`, null));
      });
      sent.end(body);
    });
  }
}

function refusal(status: number, text: string): GatewayAnswerError {
  const problem = Problem.safeParse(parsed(text));
  if (!problem.success) {
    return new GatewayAnswerError(`The answer was ${status} and not of a gateway; see --url.`, null);
  }
  const { code, detail, errors = [] } = problem.data;
  const faults = errors.map((fault) => `  ${fault.pointer ?? fault.parameter ?? ''} ${fault.detail}`);
  const advice = code === 'unauthorized' ? '; this command takes it from PULSEGATE_KEY or --key' : '';
  return new GatewayAnswerError([`${detail}${advice} (${code})`, ...faults].join('\n'), code);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

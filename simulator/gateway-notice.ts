/** A failure repeated sooner than this is not said again. */
const repeatMs = 30_000;

/**
 * Says once, in one sentence, why the gateway cannot be reached and what to do about it, however many connections
 * fail; and says once that it is back.
 */
export class GatewayNotice {
  readonly #address: string;
  readonly #say: (sentence: string) => void;
  #said = '';
  #saidAtMs = -Infinity;

  constructor(address: string, say: (sentence: string) => void) {
    this.#address = address;
    this.#say = say;
  }

  failed(error: unknown, clientId: string): void {
    const reason = explain(error, this.#address, clientId);
    const nowMs = performance.now();
    if (reason.kind === this.#said && nowMs - this.#saidAtMs < repeatMs) return;
    this.#said = reason.kind;
    this.#saidAtMs = nowMs;
    this.#say(`${reason.sentence} Trying again until it answers; Ctrl-C ends the run.`);
  }

  connected(): void {
    if (this.#said !== '') this.#say(`Connected to ${this.#address}.`);
    this.#said = '';
  }
}

/** `kind` is the same for failures that need the same answer. */
function explain(error: unknown, address: string, clientId: string): { kind: string; sentence: string } {
  const code = errorCode(error);
  switch (code) {
    case 'ECONNREFUSED':
      return {
        kind: code,
        sentence: `No gateway answers at ${address}: start one (npm start, or npm run demo) or name its address with --url.`,
      };
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return { kind: code, sentence: `The host of ${address} is not known: correct it with --url.` };
    case 'ETIMEDOUT':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return { kind: code, sentence: `${address} cannot be reached over the network: check --url and the firewall.` };
    // Return codes of CONNACK, MQTT 3.1.1 section 3.2.2.3.
    case 4:
    case 5:
      return {
        kind: 'credentials',
        sentence: `The gateway at ${address} refused the credentials of ${clientId}: give its token with --password.`,
      };
    case 1:
      return { kind: 'version', sentence: `The broker at ${address} does not speak MQTT 3.1.1.` };
    default: {
      const text = error instanceof Error ? error.message : String(error);
      if (text === 'connack timeout') {
        return { kind: text, sentence: `${address} took the connection but does not answer: is it an MQTT port?` };
      }
      return { kind: text, sentence: `The connection of ${clientId} to ${address} failed (${text}).` };
    }
  }
}

function errorCode(error: unknown): string | number | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' || typeof error.code === 'number' ? error.code : undefined;
}

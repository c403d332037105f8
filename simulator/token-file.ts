import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { CredentialError } from './credential-error.ts';
import { csvLines, separatorOf, splitFields } from './csv.ts';

/** A file of lines `device,token`, with or without a title, readable by its owner alone when it is made here. */
export class TokenFile {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Tokens by device; none when there is no such file and `mayBeMissing`. Throws `CredentialError` for a file that cannot
   * be read, and for a line that is not one device and one token, with its number but without what it holds.
   */
  read(mayBeMissing: boolean): Map<string, string> {
    if (mayBeMissing && !existsSync(this.#path)) return new Map();
    const tokens = new Map<string, string>();
    for (const { number, text } of csvLines(this.#content())) {
      const fields = splitFields(text, separatorOf(text));
      const [device = '', token = ''] = fields;
      if (tokens.size === 0 && device.toLowerCase() === 'device' && token.toLowerCase() === 'token') continue;
      if (fields.length !== 2 || device === '' || token === '') {
        throw new CredentialError(`Line ${number} of ${this.#path} is not a device and its token.`);
      }
      if (tokens.has(device)) throw new CredentialError(`Line ${number} of ${this.#path}: ${device} comes twice.`);
      tokens.set(device, token);
    }
    return tokens;
  }

  /** Keeps a token at once: the gateway shows it this once. */
  add(device: string, token: string): void {
    const title = existsSync(this.#path) ? '' : 'device,token\n';
    try {
      appendFileSync(this.#path, `${title}${device},${token}\n`, { mode: 0o600 });
    } catch (error) {
      throw new CredentialError(`The token of ${device} cannot be kept: ${reasonOf(error)}`, { cause: error });
    }
  }

  #content(): string {
    try {
      return readFileSync(this.#path, 'utf8');
    } catch (error) {
      throw new CredentialError(`The tokens cannot be read: ${reasonOf(error)}`, { cause: error });
    }
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

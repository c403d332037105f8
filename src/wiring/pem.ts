import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { messageOf } from '../base/errors.ts';
import { StartRefusedError } from './surroundings.ts';

/** The text of a PEM file; null where none is named. Throws `StartRefusedError` that names the option. */
export function readPem(path: string, option: string): string | null {
  if (path === '') return null;
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new StartRefusedError(`${option}: ${messageOf(error)}`);
  }
}

/** Certificate and private key, which come together or not at all. Throws `StartRefusedError`. */
export function readCertificate(
  files: { readonly cert: string; readonly key: string },
  option: string,
): { readonly cert: string; readonly key: string } | null {
  const cert = readPem(files.cert, `${option}.cert`);
  const key = readPem(files.key, `${option}.key`);
  if (cert !== null && key !== null) {
    try {
      createSecureContext({ cert, key });
    } catch (error) {
      throw new StartRefusedError(
        `${option}: its files are no certificate and the key to it, in PEM (${messageOf(error)})`,
      );
    }
    return { cert, key };
  }
  if (cert === null && key === null) return null;
  throw new StartRefusedError(
    `${option}: a certificate and its key come together; ${option}.${cert === null ? 'cert' : 'key'} is missing`,
  );
}

import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { tempFolder } from './temp-folder.ts';

const run = promisify(execFile);

/** A certificate and its key, as paths of PEM files and as their text. */
export interface Certificate {
  readonly certPath: string;
  readonly keyPath: string;
  readonly cert: string;
  readonly key: string;
}

/** Who a certificate is for. */
export interface Subject {
  readonly commonName: string;
  /** As openssl writes them: `DNS:pump-1`, `URI:urn:dev:pump-1`, `IP:127.0.0.1`. */
  readonly alternativeNames?: readonly string[];
}

/**
 * A certificate authority of its own in a temporary folder, made with the openssl command line as an operator would.
 * `remove` it at the end.
 */
export class Authority {
  /** The authority's own certificate: what a client trusts, and what `mqtt.tls.clientCa` names. */
  readonly caPath: string;
  readonly ca: string;
  readonly #folder: ReturnType<typeof tempFolder>;
  readonly #root: { readonly certPath: string; readonly keyPath: string };
  #issued = 0;

  private constructor(folder: ReturnType<typeof tempFolder>, root: { certPath: string; keyPath: string }) {
    this.#folder = folder;
    this.#root = root;
    this.caPath = root.certPath;
    this.ca = readFileSync(root.certPath, 'utf8');
  }

  static async create(name = 'Pulsegate test authority'): Promise<Authority> {
    const folder = tempFolder();
    const root = { certPath: join(folder.path, 'ca.pem'), keyPath: join(folder.path, 'ca.key') };
    // biome-ignore format: an option and its value stay on one line
    await run('openssl', [
      'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
      '-subj', `/CN=${name}`, '-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign,cRLSign',
      '-keyout', root.keyPath, '-out', root.certPath,
    ]);
    return new Authority(folder, root);
  }

  /** For a server on this machine: `localhost`, 127.0.0.1 and ::1. */
  server(): Promise<Certificate> {
    const alternativeNames = ['DNS:localhost', 'IP:127.0.0.1', 'IP:::1'];
    return this.#issue({ commonName: 'localhost', alternativeNames }, 'serverAuth');
  }

  /** For a device. */
  client(subject: Subject): Promise<Certificate> {
    return this.#issue(subject, 'clientAuth');
  }

  remove(): void {
    this.#folder.remove();
  }

  async #issue({ commonName, alternativeNames = [] }: Subject, use: 'serverAuth' | 'clientAuth'): Promise<Certificate> {
    const stem = join(this.#folder.path, `${use}-${++this.#issued}`);
    const paths = { certPath: `${stem}.pem`, keyPath: `${stem}.key` };
    const extensions = [
      'basicConstraints=CA:FALSE',
      `extendedKeyUsage=${use}`,
      ...(alternativeNames.length > 0 ? [`subjectAltName=${alternativeNames.join(',')}`] : []),
    ];
    writeFileSync(`${stem}.ext`, `${extensions.join('\n')}\n`);
    // biome-ignore format: an option and its value stay on one line
    await run('openssl', [
      'req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', `/CN=${commonName}`,
      '-keyout', paths.keyPath, '-out', `${stem}.csr`,
    ]);
    // biome-ignore format: an option and its value stay on one line
    await run('openssl', [
      'x509', '-req', '-in', `${stem}.csr`, '-CA', this.#root.certPath, '-CAkey', this.#root.keyPath, '-CAcreateserial',
      '-days', '2', '-extfile', `${stem}.ext`, '-out', paths.certPath,
    ]);
    return { ...paths, cert: readFileSync(paths.certPath, 'utf8'), key: readFileSync(paths.keyPath, 'utf8') };
  }
}

/** The files of a backup beside its manifest. */
export const backupFiles = ['pulsegate.db', 'catalog.json', 'devices.json', 'secrets.json'] as const;
export type BackupFileName = (typeof backupFiles)[number];

export const manifestName = 'manifest.json';
const format = 'pulsegate-backup';
const version = 1;

/** The last file of a backup: says what it is and what the others are. A backup without it was cut off. */
export interface BackupManifest {
  /** RFC 3339. */
  readonly madeAt: string;
  /** Of the program that made it. */
  readonly program: string;
  /** Of the store; a restored one has another. */
  readonly epoch: string;
  /** The last commit in it. */
  readonly seq: number;
  readonly files: readonly BackedUpFile[];
}

export interface BackedUpFile {
  readonly name: BackupFileName;
  readonly bytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

/** The manifest is not one of ours, or of a newer program. */
export class ManifestError extends Error {
  override readonly name = 'ManifestError';
}

export function writeManifest({ madeAt, program, epoch, seq, files }: BackupManifest): Uint8Array {
  return Buffer.from(`${JSON.stringify({ format, version, madeAt, program, epoch, seq, files }, null, 2)}\n`);
}

/** Throws `ManifestError`. */
export function readManifest(bytes: Uint8Array): BackupManifest {
  const manifest = parsed(bytes);
  if (!isRecord(manifest) || manifest['format'] !== format) throw new ManifestError('it is no backup of Pulsegate');
  if (manifest['version'] !== version) {
    throw new ManifestError(`it has version ${String(manifest['version'])}; this program knows version ${version}`);
  }
  const { madeAt, program, epoch, seq, files } = manifest;
  if (
    typeof madeAt !== 'string' ||
    typeof program !== 'string' ||
    typeof epoch !== 'string' ||
    typeof seq !== 'number' ||
    !Array.isArray(files)
  ) {
    throw new ManifestError('its manifest is damaged');
  }
  return { madeAt, program, epoch, seq, files: files.map(fileIn) };
}

function fileIn(file: unknown): BackedUpFile {
  if (isRecord(file)) {
    const { bytes, sha256 } = file;
    const name = backupFiles.find((known) => known === file['name']);
    if (name && typeof bytes === 'number' && typeof sha256 === 'string') return { name, bytes, sha256 };
  }
  throw new ManifestError('its manifest is damaged');
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString());
  } catch {
    throw new ManifestError('its manifest is damaged');
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

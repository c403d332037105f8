/** The tar format as POSIX.1-1988 has it (ustar, pax(1) "ustar Interchange Format"): plain files in blocks of 512 bytes. */

const blockBytes = 512;
/** The octal field of a size ends here; beyond, the size is written in binary as GNU and BSD tar do (star's base-256). */
const octalSizeMax = 8 ** 11 - 1;

export interface TarEntry {
  /** ASCII, at most 100 bytes. */
  readonly name: string;
  readonly bytes: number;
  /** Permission bits. */
  readonly mode: number;
  /** Epoch ms; whole seconds are kept. */
  readonly modifiedAt: number;
}

/** A file in an archive; its content has to be read before the next one is asked for, or is passed over. */
export interface TarFile extends TarEntry {
  readonly content: AsyncIterable<Uint8Array>;
}

/** The archive is not a tar file, or ends too soon. */
export class TarError extends Error {
  override readonly name = 'TarError';
}

/** The block in front of a file. */
export function tarHeader({ name, bytes, mode, modifiedAt }: TarEntry): Uint8Array {
  if (!/^[\x21-\x7e]{1,100}$/.test(name)) throw new TarError(`"${name}" cannot be the name of a file in an archive`);
  const block = Buffer.alloc(blockBytes);
  block.write(name, 0, 'latin1');
  writeOctal(block, mode, 100, 8);
  writeOctal(block, 0, 108, 8);
  writeOctal(block, 0, 116, 8);
  writeSize(block, bytes);
  writeOctal(block, Math.floor(modifiedAt / 1_000), 136, 12);
  block.write('0', 156, 'latin1');
  block.write('ustar\u000000', 257, 'latin1');
  block.fill(' ', 148, 156);
  block.write(`${checksum(block).toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** The zeros behind the content of a file. */
export function tarPadding(bytes: number): Uint8Array {
  return new Uint8Array((blockBytes - (bytes % blockBytes)) % blockBytes);
}

/** What ends an archive. */
export const tarEnd = new Uint8Array(2 * blockBytes);

/** The plain files of an archive, in order. Throws `TarError`. */
export async function* readTar(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<TarFile, void, undefined> {
  const source = new BlockSource(chunks);
  try {
    for (;;) {
      const block = await source.block();
      if (block.every((byte) => byte === 0)) return;
      const entry = readHeader(block);
      const content = source.content(entry.bytes);
      yield { ...entry, content };
      // What nobody read is passed over.
      for await (const _ of content);
      await source.skip(tarPadding(entry.bytes).length);
    }
  } finally {
    await source.close();
  }
}

function readHeader(block: Buffer): TarEntry {
  const written = Number.parseInt(block.toString('latin1', 148, 156), 8);
  const cleared = Buffer.from(block).fill(' ', 148, 156);
  const type = block[156];
  if (block.toString('latin1', 257, 262) !== 'ustar' || written !== checksum(cleared)) {
    throw new TarError('it is not a tar archive, or damaged');
  }
  if (type !== 0 && type !== 0x30) throw new TarError('it holds something other than plain files');
  return {
    name: textIn(block, 0, 100),
    bytes: readSize(block),
    mode: octalIn(block, 100, 8),
    modifiedAt: octalIn(block, 136, 12) * 1_000,
  };
}

function writeSize(block: Buffer, bytes: number): void {
  if (bytes <= octalSizeMax) {
    writeOctal(block, bytes, 124, 12);
    return;
  }
  block[124] = 0x80;
  block.writeBigUInt64BE(BigInt(bytes), 128);
}

function readSize(block: Buffer): number {
  return (block[124] & 0x80) === 0 ? octalIn(block, 124, 12) : Number(block.readBigUInt64BE(128));
}

function writeOctal(block: Buffer, value: number, at: number, length: number): void {
  block.write(value.toString(8).padStart(length - 1, '0'), at, 'latin1');
}

function octalIn(block: Buffer, at: number, length: number): number {
  const value = Number.parseInt(textIn(block, at, length).trim() || '0', 8);
  if (!Number.isSafeInteger(value)) throw new TarError('it is damaged');
  return value;
}

function textIn(block: Buffer, at: number, length: number): string {
  const text = block.toString('latin1', at, at + length);
  const end = text.indexOf('\0');
  return end < 0 ? text : text.slice(0, end);
}

function checksum(block: Buffer): number {
  return block.reduce((sum, byte) => sum + byte, 0);
}

/** Bytes as they come, taken in the pieces that the format has. */
class BlockSource {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  async block(): Promise<Buffer> {
    const parts: Uint8Array[] = [];
    for await (const part of this.content(blockBytes)) parts.push(part);
    return Buffer.concat(parts);
  }

  async skip(bytes: number): Promise<void> {
    for await (const _ of this.content(bytes));
  }

  /** The next `bytes` bytes. Begun again where it was left off. */
  content(bytes: number): AsyncIterable<Uint8Array> {
    let left = bytes;
    const next = async (): Promise<IteratorResult<Uint8Array>> => {
      if (left === 0) return { done: true, value: undefined };
      const part = await this.#take(left);
      left -= part.length;
      return { done: false, value: part };
    };
    return { [Symbol.asyncIterator]: () => ({ next }) };
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  async #take(bytesMax: number): Promise<Uint8Array> {
    while (this.#rest.length === 0) {
      const step = await this.#chunks.next();
      if (step.done === true) throw new TarError('it ends too soon');
      this.#rest = step.value;
    }
    const part = this.#rest.subarray(0, bytesMax);
    this.#rest = this.#rest.subarray(part.length);
    return part;
  }
}

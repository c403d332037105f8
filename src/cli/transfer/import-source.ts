import { createReadStream } from 'node:fs';
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { fileFault } from '../../base/file-fault.ts';
import { ImportFileError } from '../device-table.ts';
import { markPathOf } from './import-mark.ts';

const pieceBytes = 262_144;

/** The bytes of a file or of standard input, unpacked where they are gzip, and how much of them was read. */
export class ImportSource {
  readonly #name: string;
  readonly #input: AsyncIterable<Buffer>;
  /** Bytes read of what lies on the disk, packed or not. */
  read = 0;

  /** `name`: what it is called when it cannot be read. */
  constructor(name: string, input: AsyncIterable<Buffer>) {
    this.#name = name;
    this.#input = input;
  }

  /** A file, or standard input for `-`. */
  static of(file: string): ImportSource {
    if (file === '-') return new ImportSource('standard input', process.stdin);
    return new ImportSource(file, createReadStream(file, { highWaterMark: pieceBytes }));
  }

  /** From byte `begin` on, as it is unpacked. Rejects with `ImportFileError` where it cannot be read or unpacked, or ends before. */
  async *bytes(begin = 0): AsyncGenerator<Buffer> {
    let skip = begin;
    const chunks = this.#unpacked();
    try {
      for (;;) {
        const { done, value } = await chunks.next().catch((error: unknown) => {
          throw new ImportFileError(`${this.#name} cannot be read: ${fileFault(error)}.`, { cause: error });
        });
        if (done && skip > 0) {
          throw new ImportFileError(
            `${this.#name} is shorter than when it was last read; without ${markPathOf(this.#name)} it is read from its first line.`,
          );
        }
        if (done) return;
        const rest = value.subarray(Math.min(skip, value.length));
        skip -= value.length - rest.length;
        if (rest.length > 0) yield rest;
      }
    } finally {
      await chunks.return(undefined);
    }
  }

  async *#unpacked(): AsyncGenerator<Buffer, undefined> {
    const counted = this.#counted();
    const { done, value: first } = await counted.next();
    if (done) return;
    const all = joined(first, counted);
    if (first[0] !== 0x1f || first[1] !== 0x8b) {
      yield* all;
      return;
    }
    const gunzip = createGunzip({ chunkSize: pieceBytes });
    // Either end that fails or leaves destroys the other; the error comes out of the iteration.
    pipeline(Readable.from(all, { highWaterMark: 1 }), gunzip, () => {});
    yield* gunzip as AsyncIterable<Buffer>;
    return;
  }

  async *#counted(): AsyncGenerator<Buffer, undefined> {
    for await (const chunk of this.#input) {
      this.read += chunk.length;
      yield chunk;
    }
  }
}

async function* joined(first: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield first;
  yield* rest;
}

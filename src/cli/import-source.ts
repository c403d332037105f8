import { createReadStream } from 'node:fs';
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';

const pieceBytes = 262_144;

/** The bytes of a file or of standard input, unpacked where they are gzip, and how much of them was read. */
export class ImportSource {
  readonly #input: AsyncIterable<Buffer>;
  /** Bytes read of what lies on the disk, packed or not. */
  read = 0;

  constructor(input: AsyncIterable<Buffer>) {
    this.#input = input;
  }

  /** A file, or standard input for `-`. */
  static of(file: string): ImportSource {
    return new ImportSource(file === '-' ? process.stdin : createReadStream(file, { highWaterMark: pieceBytes }));
  }

  /** From byte `begin` on, as it is unpacked. */
  async *bytes(begin = 0): AsyncGenerator<Buffer> {
    let skip = begin;
    for await (const chunk of this.#unpacked()) {
      const rest = chunk.subarray(Math.min(skip, chunk.length));
      skip -= chunk.length - rest.length;
      if (rest.length > 0) yield rest;
    }
  }

  async *#unpacked(): AsyncGenerator<Buffer> {
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
    pipeline(Readable.from(all), gunzip, () => {});
    yield* gunzip as AsyncIterable<Buffer>;
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

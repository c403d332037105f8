import { isUtf8 } from 'node:buffer';
import { decode, type DecodeOptions, type TagDecoder, type Token, Tokenizer, Type } from 'cborg';
import { RejectedError, messageOf } from '../base/errors.ts';

type DecodeTokenizer = NonNullable<DecodeOptions['tokenizer']>;

/** How deep arrays, maps and tags may be nested. */
const depthMax = 16;

const options = {
  useMaps: true,
  rejectDuplicateMapKeys: true,
  allowUndefined: false,
  allowIndefinite: true,
  allowBigInt: true,
  // Small encoders write integers in more bytes than they need; what was meant is plain.
  strict: false,
  retainStringBytes: true,
  tags: { 4: decodeDecimal },
} as const satisfies DecodeOptions;

/**
 * CBOR (RFC 8949) to a value of unknown shape: maps become `Map`, byte strings `Uint8Array`, integers beyond 2^53
 * `bigint`, decimal fractions (tag 4) numbers. Throws `payload_empty`, `payload_too_deep`, and `payload_invalid` with the
 * byte at which it stopped.
 */
export function decodeCbor(payload: Uint8Array): unknown {
  if (payload.length === 0) throw new RejectedError('payload_empty', 'the payload is empty');
  const tokenizer = new GuardedTokenizer(payload);
  try {
    const value: unknown = decode(payload, { ...options, tokenizer });
    return value;
  } catch (error) {
    if (error instanceof RejectedError) throw error;
    const reason = messageOf(error).replace(/^CBOR decode error: /, '');
    throw new RejectedError('payload_invalid', `the payload is not CBOR: ${reason}, at byte ${tokenizer.pos()}`, {
      cause: error,
    });
  }
}

/** The package reads recursively and takes any bytes for text: depth and UTF-8 are looked after here, token by token. */
class GuardedTokenizer implements DecodeTokenizer {
  readonly #tokens: DecodeTokenizer;
  /** How many values are still owed to each open array, map or tag. */
  readonly #open: number[] = [];

  constructor(payload: Uint8Array) {
    this.#tokens = new Tokenizer(payload, options);
  }

  done(): boolean {
    return this.#tokens.done();
  }

  pos(): number {
    return this.#tokens.pos();
  }

  next(): Token {
    const token = this.#tokens.next();
    if (Type.equals(token.type, Type.break)) {
      this.#open.pop();
    } else {
      if (this.#open.length > 0) this.#open[this.#open.length - 1]--;
      this.#enter(token);
    }
    while (this.#open.at(-1) === 0) this.#open.pop();
    return token;
  }

  #enter(token: Token): void {
    if (Type.equals(token.type, Type.array)) this.#open.push(Number(token.value));
    else if (Type.equals(token.type, Type.map)) this.#open.push(2 * Number(token.value));
    else if (Type.equals(token.type, Type.tag)) this.#open.push(1);
    else if (Type.equals(token.type, Type.string) && token.byteValue && !isUtf8(token.byteValue)) {
      throw new RejectedError('payload_not_utf8', `the text before byte ${this.pos()} is not valid UTF-8`);
    }
    if (this.#open.length > depthMax) {
      throw new RejectedError('payload_too_deep', `the payload is nested more than ${depthMax} deep`);
    }
  }
}

/** Tag 4, RFC 8949 section 3.4.4: [exponent, mantissa] to the base of ten. */
function decodeDecimal(content: Parameters<TagDecoder>[0]): number {
  const parts: unknown = content();
  if (Array.isArray(parts) && parts.length === 2) {
    const [exponent, mantissa]: readonly unknown[] = parts;
    if (isInteger(exponent) && isInteger(mantissa)) return Number(`${mantissa}e${exponent}`);
  }
  throw new RejectedError('payload_invalid', 'a decimal fraction (tag 4) is an exponent and a mantissa');
}

function isInteger(value: unknown): value is number | bigint {
  return typeof value === 'bigint' || Number.isInteger(value);
}

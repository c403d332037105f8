/** A place in a text as editors count: both from 1, columns in UTF-16 units. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** The text is not JSON; `place` is where it stops being it. */
export class JsonTextError extends Error {
  override readonly name = 'JsonTextError';
  readonly place: Place;

  constructor(message: string, place: Place) {
    super(message);
    this.place = place;
  }
}

/** A JSON text with where everything in it stands, so that a fault in a file edited by hand can be pointed at. */
export interface JsonText {
  readonly value: unknown;
  /** Where the member or element with that RFC 6901 pointer begins, or the nearest that holds it. */
  placeOf(pointer: string): Place;
}

const depthMax = 64;
const literal = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
// oxlint-disable-next-line no-control-regex -- RFC 8259 §7: control characters must be escaped
const string = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const space = /[ \t\r\n]*/y;

/**
 * Reads JSON (RFC 8259) as `JSON.parse` does, but says where it is broken and refuses a key given twice, of which
 * `JSON.parse` would silently drop the first. Throws `JsonTextError`. A byte order mark is skipped.
 */
export function readJsonText(text: string): JsonText {
  const scanner = new Scanner(text);
  scanner.scan();
  const value: unknown = JSON.parse(text.replace(/^\ufeff/, ''));
  return {
    value,
    placeOf(pointer) {
      for (let known = pointer; ; known = known.slice(0, known.lastIndexOf('/'))) {
        const at = scanner.offsets.get(known);
        if (at !== undefined || known === '') return placeAt(text, at ?? 0);
      }
    },
  };
}

/** RFC 6901. */
export function pointerOf(path: readonly PropertyKey[]): string {
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

class Scanner {
  readonly offsets = new Map<string, number>();
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    if (text.startsWith('\ufeff')) this.#at = 1;
  }

  scan(): void {
    this.#skip(space);
    this.offsets.set('', this.#at);
    this.#value('', 0);
    this.#skip(space);
    if (this.#at < this.#text.length) this.#fail('the file should end here');
  }

  #value(pointer: string, depth: number): void {
    if (depth > depthMax) this.#fail('this is nested too deeply');
    this.#skip(space);
    const first = this.#text[this.#at];
    if (first === '{') this.#object(pointer, depth);
    else if (first === '[') this.#array(pointer, depth);
    else if (first === '"') this.#string();
    else if (!this.#skip(literal)) this.#fail('a value should stand here');
  }

  #object(pointer: string, depth: number): void {
    const keys = new Set<string>();
    this.#members('}', () => {
      const at = this.#at;
      if (this.#text[at] !== '"') this.#fail('a name in double quotes should stand here');
      const key = String(JSON.parse(this.#string()));
      if (keys.has(key)) this.#fail('this name is given twice in the same object', at);
      keys.add(key);
      const member = pointer + pointerOf([key]);
      this.offsets.set(member, at);
      this.#skip(space);
      if (this.#text[this.#at] !== ':') this.#fail('":" should stand here');
      this.#at++;
      this.#value(member, depth + 1);
    });
  }

  #array(pointer: string, depth: number): void {
    let index = 0;
    this.#members(']', () => {
      const element = `${pointer}/${index++}`;
      this.offsets.set(element, this.#at);
      this.#value(element, depth + 1);
    });
  }

  /** What stands between brackets, separated by commas; none may be left hanging before the end. */
  #members(end: '}' | ']', member: () => void): void {
    this.#at++;
    this.#skip(space);
    if (this.#text[this.#at] === end) {
      this.#at++;
      return;
    }
    for (;;) {
      this.#skip(space);
      if (this.#text[this.#at] === end) this.#fail('a comma must not stand before this bracket');
      member();
      this.#skip(space);
      const next = this.#text[this.#at];
      if (next !== ',' && next !== end) this.#fail(`"," or "${end}" should stand here`);
      this.#at++;
      if (next === end) return;
    }
  }

  #string(): string {
    const from = this.#at;
    if (!this.#skip(string)) this.#fail('this text is not closed on its line, or has a character that must be escaped');
    return this.#text.slice(from, this.#at);
  }

  #skip(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at;
    if (!pattern.test(this.#text)) return false;
    this.#at = pattern.lastIndex;
    return true;
  }

  #fail(message: string, at = this.#at): never {
    const ended = at >= this.#text.length;
    throw new JsonTextError(ended ? `the file ends too early; ${message}` : message, placeAt(this.#text, at));
  }
}

function placeAt(text: string, offset: number): Place {
  const before = text.slice(0, offset);
  return { line: before.split('\n').length, column: offset - before.lastIndexOf('\n') };
}

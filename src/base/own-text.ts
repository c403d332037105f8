/** Shorter texts V8 copies anyway (`SlicedString::kMinLength`). */
const sliceMin = 13;

/**
 * The same text, standing for itself. A piece cut out of a long text keeps all of it in memory for as long as the piece is
 * kept: a name out of a payload of megabytes would hold megabytes. The text must be well-formed.
 */
export function ownText(text: string): string {
  return text.length < sliceMin ? text : Buffer.from(text).toString();
}

import { createHash } from 'node:crypto';
import { open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { importFormats } from './row-readings.ts';

/** How far the import of a file is: what lies before `begin` is on the gateway's disk, or refused. */
const ImportMark = z.strictObject({
  /** Bytes of the file as it is unpacked. */
  begin: z.int().min(0),
  line: z.int().min(1),
  format: z.enum(importFormats),
  stored: z.int(),
  replaced: z.int(),
  identical: z.int(),
  refused: z.int(),
  /** By which the file is known again; more may have been appended since. */
  head: z.strictObject({ bytes: z.int().min(0), sha256: z.string() }),
});
export type ImportMark = z.infer<typeof ImportMark>;

const headBytesMax = 65_536;

export function markPathOf(file: string): string {
  return `${file}.progress`;
}

/** The mark that an earlier import of the same file left; null when there is none, or it is of another file. */
export async function readMark(file: string): Promise<ImportMark | null> {
  let text: string;
  try {
    text = await readFile(markPathOf(file), 'utf8');
  } catch {
    return null;
  }
  const mark = ImportMark.safeParse(parsed(text));
  if (!mark.success) return null;
  const head = await headOf(file, mark.data.head.bytes);
  return head.sha256 === mark.data.head.sha256 && head.bytes === mark.data.head.bytes ? mark.data : null;
}

/** All of it or the one before: a mark that is cut in half would be none. */
export async function writeMark(file: string, mark: ImportMark): Promise<void> {
  const path = markPathOf(file);
  await writeFile(`${path}.new`, `${JSON.stringify(mark)}\n`);
  await rename(`${path}.new`, path);
}

export async function removeMark(file: string): Promise<void> {
  await rm(markPathOf(file), { force: true });
}

/** What the first bytes of a file, at most `bytes` of them, are known by. */
export async function headOf(file: string, bytes = headBytesMax): Promise<ImportMark['head']> {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(bytes), 0, bytes, 0);
    return { bytes: bytesRead, sha256: createHash('sha256').update(buffer.subarray(0, bytesRead)).digest('base64') };
  } finally {
    await handle.close();
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

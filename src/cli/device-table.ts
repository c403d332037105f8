import { z } from 'zod';
import { RegistrationDraft } from '../contract/device.ts';

/** A device of a file, and the line it stands on. */
export interface ImportedDevice {
  readonly line: number;
  readonly draft: RegistrationDraft;
}

/** What is wrong with a file, every fault with its line. */
export class ImportFileError extends Error {
  override readonly name = 'ImportFileError';
}

const columns = ['id', 'name', 'profile', 'timeZone', 'approval', 'tags'] as const;

/**
 * Reads devices from CSV (RFC 4180): a header, then a device a row. Columns are `id`, `name`, `profile`, `timeZone`,
 * `approval`, `tags` (`room=lab;floor=2`) and `tag:NAME` for a tag of its own. Throws `ImportFileError`.
 */
export function readDeviceTable(text: string): readonly ImportedDevice[] {
  const [header, ...rows] = readCsv(text.replace(/^\ufeff/, ''));
  if (!header)
    throw new ImportFileError('the file is empty; the first line names the columns, for example id,name,profile');
  const names = header.cells.map((name) => name.trim());
  const unknown = names.filter((name) => !columns.some((column) => column === name) && !/^tag:./.test(name));
  if (!names.includes('id')) throw new ImportFileError(`line 1: there is no column "id"; there is ${names.join(', ')}`);
  if (unknown.length > 0) {
    throw new ImportFileError(
      `line 1: "${unknown.join('", "')}" is no column; there may be ${columns.join(', ')} and tag:NAME`,
    );
  }
  const faults: string[] = [];
  const seen = new Set<string>();
  const devices = rows.flatMap(({ line, cells }): ImportedDevice[] => {
    if (cells.length !== names.length) {
      faults.push(`line ${line}: ${cells.length} cells under ${names.length} columns`);
      return [];
    }
    const result = RegistrationDraft.safeParse(fieldsOf(names, cells));
    if (!result.success) {
      faults.push(
        ...result.error.issues.map((issue) => `line ${line}: ${z.core.toDotPath(issue.path)}: ${issue.message}`),
      );
      return [];
    }
    if (seen.size === seen.add(result.data.id).size) faults.push(`line ${line}: "${result.data.id}" is there twice`);
    return [{ line, draft: result.data }];
  });
  if (faults.length > 0) {
    const rest = faults.length > 20 ? [`… and ${faults.length - 20} more`] : [];
    throw new ImportFileError([...faults.slice(0, 20), ...rest].join('\n'));
  }
  return devices;
}

/** Cells that are empty are left out, and so have their default. */
function fieldsOf(names: readonly string[], cells: readonly string[]): object {
  const fields: Record<string, string> = {};
  const tags: [string, string][] = [];
  for (const [index, name] of names.entries()) {
    const cell = cells[index].trim();
    if (cell === '') continue;
    if (name.startsWith('tag:')) tags.push([name.slice('tag:'.length), cell]);
    else if (name === 'tags') tags.push(...cell.split(';').map(readTag));
    else fields[name] = cell;
  }
  return { ...fields, tags: Object.fromEntries(tags) };
}

/** `room=lab`; without a sign the whole of it names a tag that is "true". */
export function readTag(text: string): [string, string] {
  const at = text.search(/[=:]/);
  return at < 0 ? [text.trim(), 'true'] : [text.slice(0, at).trim(), text.slice(at + 1).trim()];
}

/** Rows with the line each begins on; empty lines are none. */
function readCsv(text: string): readonly { readonly line: number; readonly cells: readonly string[] }[] {
  const rows: { line: number; cells: string[] }[] = [];
  const cell = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/y;
  let line = 1;
  let row: { line: number; cells: string[] } = { line, cells: [] };
  while (cell.lastIndex < text.length || row.cells.length > 0) {
    const match = cell.exec(text);
    if (!match)
      throw new ImportFileError(`line ${line}: a quote is not closed, or stands inside a cell without quotes`);
    const [whole, quoted, plain = '', end] = match;
    row.cells.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    line += whole.split('\n').length - 1;
    if (end === ',') continue;
    if (row.cells.length > 1 || row.cells[0] !== '') rows.push(row);
    row = { line, cells: [] };
    if (end === '') break;
  }
  return rows;
}

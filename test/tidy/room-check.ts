import { clockAndDice, fetches, oneFile, outsiders, type Room, rooms } from './room-law.ts';
import { type Import, packageOf, type SourceFile, targetOf } from './source-file.ts';

/** One breach of the law. */
export interface Breach {
  readonly file: string;
  readonly what: string;
}

const byName = new Map([...rooms, ...outsiders].map((room) => [room.name, room]));

/** The room of a file: its folder under src, the file itself where it lies in src, or the simulator. */
export function roomOf(path: string): string {
  const [top, second] = path.split('/');
  return top === 'src' ? second : top;
}

/** Every breach of the import law in these files; `folders` are the folders directly under src. */
export function checkRooms(files: readonly SourceFile[], folders: readonly string[]): readonly Breach[] {
  const paths = new Set(files.map(({ path }) => path));
  return [
    ...files.flatMap((file) => checkFile(file, paths).map((what) => ({ file: file.path, what }))),
    ...cycles(files).map((cycle) => ({ file: cycle[0], what: `imports itself in a circle: ${cycle.join(' → ')}` })),
    ...folders
      .filter((folder) => !files.some(({ path }) => path.startsWith(`src/${folder}/`)))
      .map((folder) => ({ file: `src/${folder}`, what: 'is a room with nothing in it' })),
  ];
}

function checkFile(file: SourceFile, paths: ReadonlySet<string>): readonly string[] {
  const room = byName.get(roomOf(file.path));
  if (!room) return ['is in no room of the law'];
  return [
    ...(/(^|\/)index\.[cm]?[jt]sx?$/.test(file.path) ? ['is a barrel'] : []),
    ...file.imports.flatMap((imported) => checkImport(file.path, room, imported, paths) ?? []),
    ...checkGlobals(file),
  ];
}

function checkImport(
  from: string,
  room: Room,
  { specifier, isType }: Import,
  paths: ReadonlySet<string>,
): string | null {
  if (specifier === null) return 'imports something computed, which nobody can check';
  const target = targetOf(from, specifier);
  if (target === null) return checkPackage(from, room, packageOf(specifier));
  if (/\.[cm]?[jt]sx?$/.test(target) && !paths.has(target)) return `imports ${target}, which is not there`;
  const other = roomOf(target);
  if (other === room.name || allows(room.may, other, room.but)) return null;
  if (!allows(room.typesOf, other)) return `imports the room ${other}: ${target}`;
  return isType ? null : `imports the room ${other}: ${target}, of which it may only have types`;
}

function allows(list: readonly string[], room: string, but: readonly string[] = []): boolean {
  return list.includes(room) || (list.includes('*') && byName.has(room) && room !== 'simulator' && !but.includes(room));
}

function checkPackage(from: string, room: Room, name: string): string | null {
  if (name === 'node:timers' && mustBeHanded(from)) return 'takes timers from Node';
  if (Object.hasOwn(oneFile, name)) {
    return from === oneFile[name] ? null : `imports ${name}, which belongs to ${oneFile[name]} alone`;
  }
  if (name.startsWith('node:') || room.packages.includes(name)) return null;
  return `imports the package ${name}, which belongs to ${ownersOf(name)}`;
}

function ownersOf(name: string): string {
  const owners = [...byName.values()].filter((room) => room.packages.includes(name)).map((room) => room.name);
  return owners.length > 0 ? owners.join(' and ') : 'no room';
}

function checkGlobals({ path, globals }: SourceFile): readonly string[] {
  return globals
    .filter((name) => (name === 'fetch' ? isSource(path) && !startsWithAny(path, fetches) : mustBeHanded(path)))
    .map((name) => `uses ${name}`);
}

function mustBeHanded(path: string): boolean {
  return isSource(path) && !startsWithAny(path, clockAndDice);
}

function isSource(path: string): boolean {
  return path.startsWith('src/');
}

function startsWithAny(path: string, prefixes: readonly string[]): boolean {
  return prefixes.some((prefix) => path.startsWith(prefix));
}

/** Circles of what runs: types are erased. One cycle for each file from which a walk came back to where it was. */
function cycles(files: readonly SourceFile[]): readonly (readonly string[])[] {
  const found: string[][] = [];
  const done = new Set<string>();
  const graph = new Map(
    files.map(({ path, imports }) => [
      path,
      imports.flatMap(({ specifier, isType }) => (isType ? [] : (targetOf(path, specifier ?? '') ?? []))),
    ]),
  );
  const walk = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at >= 0) found.push([...trail.slice(at), path]);
    if (at >= 0 || done.has(path)) return;
    for (const next of graph.get(path) ?? []) walk(next, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) walk(path, []);
  return found;
}

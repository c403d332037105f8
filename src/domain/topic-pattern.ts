/*
 * Topic patterns of mappings: an MQTT filter (MQTT 3.1.1 section 4.7) in which a level may have named parts.
 *
 *   tele/{device}/SENSOR        a part is a whole level
 *   shelly{model}-{id}/online   or stands between texts of its level; the first part takes as much as it can
 *   shellies/{device}/#         `+` is any level, a last `#` any number of levels
 */

/** The parts of a topic by name, and `rest`: the levels after the one of each part. */
export interface TopicMatch {
  readonly parts: ReadonlyMap<string, string>;
  readonly levels: readonly string[];
}

export interface TopicPattern {
  readonly names: ReadonlySet<string>;
  /** The parts of a topic that fits; null for one that does not. */
  match(topic: string): TopicMatch | null;
  /** The level, from 0, in which the part stands; −1 for none. */
  levelOf(name: string): number;
  /** The MQTT filter of the pattern with the whole level `{name}` filled in; null when no whole level is that part. */
  filterWith(name: string, text: string): string | null;
}

/** A text or a part of a level, in turns; texts first and last, and possibly empty there. */
interface Level {
  readonly texts: readonly string[];
  readonly names: readonly string[];
  readonly any: 'one' | 'rest' | null;
}

const namePattern = /^[A-Za-z][A-Za-z0-9_]*$/;
const partPattern = /\{([^{}]*)\}/;

/** What is wrong with a pattern, as sentences; empty when it can be compiled. */
export function topicPatternFaults(pattern: string): readonly string[] {
  const faults: string[] = [];
  const seen = new Set<string>();
  const levels = pattern.split('/');
  for (const [index, level] of levels.entries()) {
    if (level === '+' || (level === '#' && index === levels.length - 1)) continue;
    faults.push(...levelFaults(level, seen));
  }
  if (pattern.startsWith('$')) faults.push('topics that begin with "$" are the broker\'s own');
  if (pattern.startsWith('devices/')) faults.push('topics under devices/ are native and need no mapping');
  if (pattern.includes('\0')) faults.push('a topic holds no NUL');
  return faults;
}

/** Compiles a pattern without faults. */
export function compileTopicPattern(pattern: string): TopicPattern {
  const levels = pattern.split('/').map(levelOf);
  const names = levels.flatMap((level) => level.names);
  const isOpen = levels.at(-1)?.any === 'rest';
  const fixed = isOpen ? levels.length - 1 : levels.length;
  return {
    names: new Set(names),
    levelOf: (name) => levels.findIndex((level) => level.names.includes(name)),
    filterWith(name, text) {
      const at = levels.findIndex((level) => isWhole(level) && level.names[0] === name);
      if (at === -1) return null;
      return levels.map((level, index) => (index === at ? text : filterLevel(level))).join('/');
    },
    match(topic) {
      const given = topic.split('/');
      // `a/#` also stands for `a` (4.7.1.2).
      if (isOpen ? given.length < fixed : given.length !== fixed) return null;
      if (topic.startsWith('$')) return null;
      const parts = new Map<string, string>();
      for (let index = 0; index < fixed; index++) {
        if (!matchLevel(levels[index], given[index], parts)) return null;
      }
      return { parts, levels: given };
    },
  };
}

/** The names that a template such as `{room}.{device}` inserts. */
export function insertedNames(template: string): readonly string[] {
  return [...template.matchAll(/\{([^{}]*)\}/g)].map(([, name]) => name);
}

/** The template with its names filled in; every name must be known. */
export function fillTemplate(template: string, parts: ReadonlyMap<string, string>): string {
  return template.replaceAll(/\{([^{}]*)\}/g, (_, name: string) => parts.get(name) ?? '');
}

function levelFaults(level: string, seen: Set<string>): readonly string[] {
  const faults: string[] = [];
  const { texts, names, any } = levelOf(level);
  if (any === 'rest') faults.push('"#" is the last level of a topic or none');
  if (texts.some((text) => /[{}]/.test(text))) faults.push(`a brace in "${level}" is not closed`);
  if (texts.some((text) => /[+#]/.test(text)))
    faults.push(`"+" and a last "#" stand alone in their level, not in "${level}"`);
  if (texts.slice(1, -1).includes('')) faults.push(`two parts of "${level}" need some text between them`);
  for (const name of names) {
    if (!namePattern.test(name))
      faults.push(`"{${name}}" is no name of a part; write a letter, then letters, digits or _`);
    else if (seen.has(name)) faults.push(`the part "{${name}}" is there twice`);
    seen.add(name);
  }
  return faults;
}

function levelOf(level: string): Level {
  if (level === '+') return { texts: [], names: [], any: 'one' };
  if (level === '#') return { texts: [], names: [], any: 'rest' };
  const pieces = level.split(partPattern);
  return {
    texts: pieces.filter((_, index) => index % 2 === 0),
    names: pieces.filter((_, index) => index % 2 === 1),
    any: null,
  };
}

function isWhole({ texts, names }: Level): boolean {
  return names.length === 1 && texts.every((text) => text === '');
}

function filterLevel({ texts, names, any }: Level): string {
  if (any === 'rest') return '#';
  return any === 'one' || names.length > 0 ? '+' : (texts[0] ?? '');
}

/** From the right, each text at its last place: so a part takes as much as it can, and no choice has to be undone. */
function matchLevel({ texts, names, any }: Level, given: string, parts: Map<string, string>): boolean {
  if (any === 'one') return true;
  const first = texts[0] ?? '';
  if (names.length === 0) return given === first;
  const last = texts.at(-1) ?? '';
  if (given.length < first.length + last.length || !given.startsWith(first) || !given.endsWith(last)) return false;
  let end = given.length - last.length;
  for (let index = names.length - 1; index > 0; index--) {
    const text = texts[index];
    const at = given.lastIndexOf(text, end - text.length - 1);
    if (at < first.length) return false;
    parts.set(names[index], given.slice(at + text.length, end));
    end = at;
  }
  if (end <= first.length) return false;
  parts.set(names[0], given.slice(first.length, end));
  return true;
}

/**
 * Topic names and filters of MQTT 3.1.1 section 4.7, and the two questions that access asks of filters: does one cover
 * the other, do they have a topic in common. Wildcards at the first level never stand for a level that begins with `$`
 * (4.7.2); `a/#` also matches `a` (4.7.1.2); levels may be empty, a whole topic may not.
 */

const bytesMax = 65_535;

/** Whether the text may stand in a PUBLISH: not empty, at most 65,535 bytes of UTF-8, no NUL and no wildcard. */
export function isTopicName(text: string): boolean {
  return isSendable(text) && !/[+#]/.test(text);
}

/** Whether the text may stand in a SUBSCRIBE: as a topic, `#` last and alone in its level, `+` alone in its level. */
export function isTopicFilter(text: string): boolean {
  if (!isSendable(text)) return false;
  const levels = text.split('/');
  return levels.every((level, at) => level === '+' || (level === '#' ? at === levels.length - 1 : !/[+#]/.test(level)));
}

/** Whether the filter matches the topic. Both must be well-formed. */
export function filterMatches(filter: string, topic: string): boolean {
  return compileFilters([filter]).matches(topic);
}

/** Whether every topic that `requested` matches is matched by `allowed`. Both must be well-formed. */
export function filterCovers(allowed: string, requested: string): boolean {
  return covers(levelsOf(allowed), levelsOf(requested));
}

/** Whether some topic is matched by both. Both must be well-formed. */
export function filtersOverlap(left: string, right: string): boolean {
  return overlap(levelsOf(left), levelsOf(right));
}

/** Several filters, any of which is enough. */
export interface CompiledFilters {
  /** Takes a well-formed topic; no memory is taken, and the common forms are one comparison of texts. */
  matches(topic: string): boolean;
  /** Whether a single one of the filters covers the requested one, which must be well-formed. */
  covers(requested: string): boolean;
  overlaps(requested: string): boolean;
}

/** Sorts filters by what it takes to match them: no wildcard, one `#` at the end, and the others level by level. */
export function compileFilters(filters: readonly string[]): CompiledFilters {
  const exact = new Set(filters.filter((filter) => !/[+#]/.test(filter)));
  const prefixes = filters.filter((filter) => /^[^+#]+\/#$/.test(filter)).map((filter) => filter.slice(0, -1));
  const matchesAll = filters.includes('#');
  const others = filters
    .filter((filter) => /[+#]/.test(filter) && !/^[^+#]+\/#$/.test(filter) && filter !== '#')
    .map((filter) => filter.split('/'));
  const all = filters.map(levelsOf);
  return {
    matches(topic) {
      if (matchesAll && !isReservedTopic(topic)) return true;
      for (const prefix of prefixes) {
        if (topic.startsWith(prefix) || (topic.length === prefix.length - 1 && prefix.startsWith(topic))) return true;
      }
      if (exact.size > 0 && exact.has(topic)) return true;
      for (const levels of others) if (matchesLevels(levels, topic)) return true;
      return false;
    },
    covers(requested) {
      const levels = levelsOf(requested);
      return all.some((allowed) => covers(allowed, levels));
    },
    overlaps(requested) {
      const levels = levelsOf(requested);
      return all.some((filter) => overlap(filter, levels));
    },
  };
}

/** Topics beginning with `$` belong to the server (4.7.2). */
export function isReservedTopic(topic: string): boolean {
  return topic.charCodeAt(0) === dollar;
}

const dollar = 0x24;

function isSendable(text: string): boolean {
  if (text === '' || text.includes('\0')) return false;
  // No text of a third of the bound can be longer than the bound: a UTF-16 unit takes three bytes at most.
  return text.length <= bytesMax / 3 || (text.length <= bytesMax && new TextEncoder().encode(text).length <= bytesMax);
}

/** Walks the topic along the levels without taking it apart. */
function matchesLevels(levels: readonly string[], topic: string): boolean {
  let start = 0;
  for (let at = 0; at < levels.length; at++) {
    const level = levels[at];
    if (level === '#') return at > 0 || !isReservedTopic(topic);
    if (start > topic.length) return false;
    const slash = topic.indexOf('/', start);
    const end = slash === -1 ? topic.length : slash;
    if (level === '+') {
      if (at === 0 && isReservedTopic(topic)) return false;
    } else if (end - start !== level.length || !topic.startsWith(level, start)) {
      return false;
    }
    start = end + 1;
  }
  return start > topic.length;
}

/**
 * The levels of a filter, `#` and `/#` written as `+/#` and `/+/#`, which match the same topics since no topic is empty.
 * So a `#` that is left always matches its parent, too, and no two ways to write the same set differ.
 */
function levelsOf(filter: string): readonly string[] {
  const levels = filter.split('/');
  return levels.at(-1) === '#' && levels.slice(0, -1).join('') === '' && levels.length <= 2
    ? [...levels.slice(0, -1), '+', '#']
    : levels;
}

function covers(allowed: readonly string[], requested: readonly string[]): boolean {
  for (let at = 0; ; at++) {
    const level = allowed[at];
    const asked = requested[at];
    if (level === '#') return true;
    if (level === undefined || asked === undefined) return level === asked;
    // What is asked for matches the parent, too, and any depth; this level is one that must be there.
    if (asked === '#') return false;
    if (level === '+' ? at === 0 && isReservedTopic(asked) : level !== asked) return false;
  }
}

function overlap(left: readonly string[], right: readonly string[]): boolean {
  for (let at = 0; ; at++) {
    const one = left[at];
    const other = right[at];
    if (one === '#' || other === '#') return true;
    if (one === undefined || other === undefined) return one === other;
    if (one === '+' ? at === 0 && isReservedTopic(other) : other !== '+' && one !== other) return false;
    if (other === '+' && at === 0 && isReservedTopic(one)) return false;
  }
}

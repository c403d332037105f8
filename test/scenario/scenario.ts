import { AlertBook } from '../../src/alerts/alert-book.ts';
import { parseDuration } from '../../src/base/duration.ts';
import type { AlertState, Transition } from '../../src/domain/alert.ts';
import type { Rule } from '../../src/domain/rule.ts';

/*
 * Alert behaviour as text, one step a line, times counted from zero; `#` begins a comment.
 *
 *   rule hot above 30 clear-below 28 for 60s     adds the rule (all devices, metric m) or replaces the one of that name
 *   delete hot · disable hot
 *   at 20s 31 · at 20s d2 31 · at 20s true       a reading of device d1 unless named, received when it is taken
 *   at 20s received 80s 31                       a reading that travelled
 *   wait until 90s                               the clock goes on, timers fire
 *   restart                                      a new book from what was stored
 *   drop 20s 31                                  a reading whose commit failed
 *   expect hot firing at 60s value 31            the next transition not yet expected; then optionally device, reason, until
 *   expect nothing                               no transition is left over
 *
 * Every transition must be expected, in order, before the file ends.
 */
export function runScenario(text: string): void {
  const scenario = new Scenario();
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.replace(/#.*/, '').trim();
    if (line === '') continue;
    try {
      scenario.step(line.split(/\s+/));
    } catch (error) {
      throw new Error(`line ${index + 1}, "${line}": ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    }
  }
  scenario.step(['expect', 'nothing']);
}

type Draft = ReturnType<AlertBook['begin']>;

class Scenario {
  #rules = new Map<string, Rule>();
  #states = new Map<string, AlertState>();
  #book = newBook();
  #now = 0;
  #unexpected: Transition[] = [];
  #series = new Map<string, number>();

  step([verb, ...words]: readonly string[]): void {
    switch (verb) {
      case 'rule':
        this.#setRule(parseRule(words));
        break;
      case 'delete':
        this.#rules.delete(words[0]);
        this.#commit((draft) => draft.setRules([...this.#rules.values()], this.#now));
        break;
      case 'disable':
        this.#setRule({ ...known(this.#rules.get(words[0])), enabled: false });
        break;
      case 'at':
        this.#take(this.#read(words));
        break;
      case 'drop':
        this.#read(words);
        break;
      case 'wait':
        this.#waitUntil(parseDuration(words[1]));
        break;
      case 'restart':
        this.#book = newBook();
        this.#book.load([...this.#rules.values()], [...this.#states.values()]);
        break;
      case 'expect':
        this.#expect(words);
        break;
      default:
        throw new Error('unknown step');
    }
  }

  #setRule(rule: Rule): void {
    this.#rules.set(rule.id, rule);
    this.#commit((draft) => draft.setRules([...this.#rules.values()], this.#now));
  }

  #read(words: readonly string[]): Draft {
    const rest = [...words];
    const time = parseDuration(known(rest.shift()));
    const receivedAt = rest[0] === 'received' ? parseDuration(rest.splice(0, 2)[1]) : time;
    const device = rest.length > 1 ? known(rest.shift()) : 'd1';
    const id = this.#series.get(device) ?? this.#series.size + 1;
    this.#series.set(device, id);
    this.#waitUntil(receivedAt);
    const draft = this.#book.begin();
    draft.read({ id, device, metric: 'm' }, time, parseValue(known(rest[0])), receivedAt);
    return draft;
  }

  /** Timers fire one by one, as a gateway that sleeps until the next deadline would see them. */
  #waitUntil(time: number): void {
    for (let next = this.#book.nextDeadline(); next !== null && next < time; next = this.#book.nextDeadline()) {
      const deadline = Math.max(next, this.#now);
      this.#commit((draft) => draft.expire(deadline));
    }
    this.#now = Math.max(this.#now, time);
  }

  #commit(change: (draft: Draft) => void): void {
    const draft = this.#book.begin();
    change(draft);
    this.#take(draft);
  }

  #take(draft: Draft): void {
    this.#unexpected.push(...draft.transitions);
    for (const state of draft.states) this.#states.set(`${state.ruleId} ${state.device}`, state);
    draft.apply();
  }

  #expect(words: readonly string[]): void {
    const left = this.#unexpected.map((transition) => describeTransition(transition));
    if (words[0] === 'nothing') {
      if (left.length > 0) throw new Error(`left over: ${left.join('; ')}`);
      return;
    }
    const next = left[0] ?? 'nothing';
    if (!`${next} `.startsWith(`${words.join(' ')} `)) throw new Error(`but there was: ${next}`);
    this.#unexpected.shift();
  }
}

/** `hot firing at 60s value 31 on d1 threshold 30 since 0s fired 60s #1` */
function describeTransition({ type, sequence, at, alert }: Transition): string {
  const end = alert.state === 'resolved' ? ` ended ${seconds(alert.resolvedAt ?? Number.NaN)} ${alert.reason}` : '';
  const what = type === 'alert.firing' ? 'firing' : 'resolved';
  return (
    `${alert.rule.id} ${what} at ${seconds(at)} value ${alert.value} on ${alert.device} number ${sequence}` +
    ` since ${seconds(alert.startedAt)} fired ${seconds(alert.firedAt)}${end}`
  );
}

const seconds = (ms: number): string => `${ms / 1000}s`;

function newBook(): AlertBook {
  let ids = 0;
  return new AlertBook({ newId: (prefix) => `${prefix}_${++ids}` });
}

function parseRule([id, ...words]: readonly string[]): Rule {
  const options = new Map<string, string>();
  for (let index = 0; index < words.length; index += 2) options.set(words[index], words[index + 1]);
  const number = (name: string): number | undefined => {
    const text = options.get(name);
    return text === undefined ? undefined : Number(text);
  };
  return {
    id,
    name: id,
    device: options.get('device') ?? '*',
    metric: 'm',
    condition: {
      type: 'threshold',
      above: number('above'),
      clearBelow: number('clear-below'),
      below: number('below'),
      clearAbove: number('clear-above'),
    },
    for: options.get('for') ?? '0s',
    severity: 'warning',
    enabled: true,
    createdAt: '2026-01-01T00:00:00.000Z',
    updatedAt: '2026-01-01T00:00:00.000Z',
  };
}

function parseValue(text: string): number | boolean | string {
  if (text === 'true' || text === 'false') return text === 'true';
  const value = Number(text);
  return Number.isNaN(value) ? text : value;
}

function known<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('something is missing or unknown here');
  return value;
}

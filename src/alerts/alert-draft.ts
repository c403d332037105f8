import type { AlertState, Transition } from '../domain/alert.ts';
import type { Value } from '../domain/reading.ts';
import type { Rule } from '../domain/rule.ts';
import type { Series } from '../domain/series.ts';
import type { NewId } from './episode.ts';
import { inactiveState, openAlert, pendingState, resolveAlert } from './episode.ts';
import { RuleSet } from './rule-set.ts';
import type { AlertCell, Standing } from './standing.ts';
import { cellKey, heldOn, silenceDeadline, storedStanding } from './standing.ts';
import type { CompiledRule } from './threshold.ts';
import { breaches, judge } from './threshold.ts';

/** What a draft sees of the committed state, and how it becomes it. */
export interface DraftGround {
  readonly rules: RuleSet;
  readonly newId: NewId;
  /** The cell of that identity, or a new one. */
  readonly cell: (ruleId: string, device: string, metric: string) => AlertCell;
  /** Every cell with a committed state. */
  cells(): Iterable<AlertCell>;
  /** Cells that may be due by `now` as far as is committed. */
  due(now: number): readonly AlertCell[];
  /** Takes over a draft's outcome; throws `InvariantError` when another draft was applied since this one began. */
  adopt(standings: ReadonlyMap<AlertCell, Standing>, rules: RuleSet): void;
}

/**
 * One commit's worth of alert changes, laid over the committed state. Nothing of it shows outside until `apply`; a draft
 * that is dropped leaves no trace.
 */
export class AlertDraft {
  readonly #ground: DraftGround;
  readonly #standings = new Map<AlertCell, Standing>();
  readonly #transitions: Transition[] = [];
  #rules: RuleSet;

  constructor(ground: DraftGround) {
    this.#ground = ground;
    this.#rules = ground.rules;
  }

  /** In order of occurrence. */
  get transitions(): readonly Transition[] {
    return this.#transitions;
  }

  /** The states that differ from what is committed. */
  get states(): readonly AlertState[] {
    const states: AlertState[] = [];
    for (const [cell, { state }] of this.#standings) {
      if (state && !isSame(state, cell.standing.state)) states.push(state);
    }
    return states;
  }

  /** Whether any rule looks at the series; holds until the rules change. */
  watches(series: Series): boolean {
    return this.#rules.watches(series).length > 0;
  }

  /**
   * Judges a reading that is newer than everything stored of its series (late and repeated ones never move alert state).
   * Booleans count as 0 and 1, text is not judged. `time` and `receivedAt` are epoch ms.
   */
  read(series: Series, time: number, value: Value, receivedAt: number): void {
    const watches = this.#rules.watches(series);
    if (watches.length === 0 || typeof value === 'string') return;
    const reading = { time, value: Number(value), receivedAt };
    for (const { rule, cell } of watches) this.#judge(cell, rule, reading);
  }

  /** Fires every pending state whose device has been silent past its deadline; `now` is receipt time, epoch ms. */
  expire(now: number): void {
    const due: AlertCell[] = [];
    for (const cell of new Set([...this.#ground.due(now), ...this.#standings.keys()])) {
      const rule = this.#rules.rule(cell.ruleId);
      if (rule && silenceDeadline(rule, this.#standing(cell)) <= now) due.push(cell);
    }
    for (const cell of inOrder(due)) {
      const standing = this.#standing(cell);
      const rule = this.#rules.rule(cell.ruleId);
      const value = standing.state?.value ?? null;
      if (!rule || value === null) continue;
      // The rule may have become stricter since the breach began.
      if (breaches(rule, value)) this.#open(cell, rule, { at: silenceDeadline(rule, standing), value });
      else this.#close(cell);
    }
  }

  /**
   * Swaps the rules. What a vanished or disabled rule left open resolves as `rule_deleted`; where its globs no longer
   * match, or it now looks in the other direction, as `rule_changed`. Changed thresholds are judged at the next reading.
   * Also reconciles right after `load`. `now` is receipt time, epoch ms.
   */
  setRules(rules: readonly Rule[], now: number): void {
    const before = this.#rules;
    const touched = new Map([...this.#standings.keys()].map((cell) => [cell.key, cell]));
    // The rule set outlives this draft, so it must not hold on to it (nor, through it, to every rule set before).
    const committed = this.#ground.cell;
    this.#rules = new RuleSet(
      rules,
      (ruleId, device, metric) => touched.get(cellKey(ruleId, device, metric)) ?? committed(ruleId, device, metric),
      before,
    );
    const cells = new Set([...this.#ground.cells(), ...touched.values()]);
    for (const cell of inOrder([...cells].filter((cell) => isUnderWay(this.#standing(cell))))) {
      const rule = this.#rules.rule(cell.ruleId);
      if (!rule) this.#close(cell, { reason: 'rule_deleted', at: now, value: null });
      else if (!watchesAsBefore(rule, before.rule(cell.ruleId), cell)) {
        this.#close(cell, { reason: 'rule_changed', at: now, value: null });
      }
    }
  }

  /** Makes the draft the committed state; the draft is spent. */
  apply(): void {
    this.#ground.adopt(this.#standings, this.#rules);
  }

  #judge(
    cell: AlertCell,
    rule: CompiledRule,
    reading: { readonly time: number; readonly value: number; readonly receivedAt: number },
  ): void {
    const standing = this.#standing(cell);
    const sequence = standing.state?.sequence ?? 0;
    switch (judge(rule, standing.state, reading.time, reading.value)) {
      case 'pend':
        this.#standings.set(cell, storedStanding(pendingState(cell, sequence, reading)));
        break;
      case 'hold':
        this.#standings.set(cell, heldOn(standing, reading.receivedAt));
        break;
      case 'fire':
        this.#open(cell, rule, { at: reading.time, value: reading.value, receivedAt: reading.receivedAt });
        break;
      case 'reset':
        this.#close(cell);
        break;
      case 'clear':
        this.#close(cell, { reason: 'cleared', at: reading.time, value: reading.value });
        break;
      case 'stay':
        break;
    }
  }

  #open(
    cell: AlertCell,
    rule: CompiledRule,
    cause: { readonly at: number; readonly value: number; readonly receivedAt?: number },
  ): void {
    const { state } = this.#standing(cell);
    const since = state?.since ?? cause.at;
    const sinceReceived = state?.sinceReceived ?? cause.receivedAt ?? null;
    const sequence = (state?.sequence ?? 0) + 1;
    const episode = openAlert(cell, rule, { ...cause, since, sinceReceived, sequence }, this.#ground.newId);
    this.#standings.set(cell, storedStanding(episode.state));
    this.#transitions.push(episode.transition);
  }

  /** Back to inactive; `cause` is why an open alert ends (a pending breach ends without a word). */
  #close(
    cell: AlertCell,
    cause?: {
      readonly reason: 'cleared' | 'rule_deleted' | 'rule_changed';
      readonly at: number;
      readonly value: number | null;
    },
  ): void {
    const { state } = this.#standing(cell);
    const sequence = state?.sequence ?? 0;
    if (!cause || !state?.alert) {
      this.#standings.set(cell, storedStanding(inactiveState(cell, sequence)));
      return;
    }
    const episode = resolveAlert(cell, state.alert, { ...cause, sequence: sequence + 1 }, this.#ground.newId);
    this.#standings.set(cell, storedStanding(episode.state));
    this.#transitions.push(episode.transition);
  }

  #standing(cell: AlertCell): Standing {
    return this.#standings.get(cell) ?? cell.standing;
  }
}

/** Whether an open state still means what it meant. Right after a restart the rule of before is not known: then it does. */
function watchesAsBefore(rule: CompiledRule, before: CompiledRule | undefined, cell: AlertCell): boolean {
  return rule.device(cell.device) && rule.metric(cell.metric) && (!before || before.direction === rule.direction);
}

function isUnderWay({ state }: Standing): boolean {
  return state !== null && state.phase !== 'inactive';
}

function isSame(state: AlertState, committed: AlertState | null): boolean {
  if (state === committed) return true;
  // Only an inactive state carries nothing but its count; any other was made anew because something changed.
  if (state.phase !== 'inactive') return false;
  return (committed === null || committed.phase === 'inactive') && state.sequence === (committed?.sequence ?? 0);
}

/** Cells by identity, so that the same commit makes the same transitions in the same order after a restart too. */
function inOrder(cells: AlertCell[]): readonly AlertCell[] {
  return cells.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
}

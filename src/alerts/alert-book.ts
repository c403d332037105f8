import { InvariantError } from '../base/errors.ts';
import type { Alert, AlertState } from '../domain/alert.ts';
import type { Rule } from '../domain/rule.ts';
import type { DraftGround } from './alert-draft.ts';
import { AlertDraft } from './alert-draft.ts';
import { DeadlineQueue } from './deadline-queue.ts';
import type { NewId } from './episode.ts';
import { RuleSet } from './rule-set.ts';
import type { AlertCell, Standing } from './standing.ts';
import { cellKey, newCell, silenceDeadline, storedStanding } from './standing.ts';

/**
 * The committed state of every rule on every series. It changes only when a draft is applied, which the pipeline does
 * after the commit that carries the draft's transitions is on disk. No clock and no I/O: time comes in with the calls.
 *
 * One open alert per rule and series, whatever arrives how fast; `sequence` counts its transitions from 1 and is never
 * reset, not even by switching the rule off and on.
 */
export class AlertBook {
  readonly #newId: NewId;
  readonly #cells = new Map<string, AlertCell>();
  readonly #open = new Set<AlertCell>();
  readonly #deadlines = new DeadlineQueue();
  #rules: RuleSet = new RuleSet([], newCell);
  #generation = 0;

  /** `newId` gives the ids of alerts (`alr`) and transitions (`trn`). */
  constructor(options: { readonly newId: NewId }) {
    this.#newId = options.newId;
  }

  /**
   * Begins anew from what is stored. Says nothing about states whose rule is gone or no longer matches: the first draft
   * resolves them by `setRules`, since that takes a commit.
   */
  load(rules: readonly Rule[], states: readonly AlertState[]): void {
    this.#cells.clear();
    this.#open.clear();
    this.#deadlines.clear();
    this.#generation++;
    this.#rules = new RuleSet(rules, (...identity) => this.#cell(...identity));
    for (const state of states) {
      const cell = newCell(state.ruleId, state.device, state.metric);
      this.#cells.set(cell.key, cell);
      this.#settle(cell, storedStanding(state));
    }
  }

  /** A draft over the state committed now. One at a time: when one is applied, others begun before it are void. */
  begin(): AlertDraft {
    const generation = this.#generation;
    const ground: DraftGround = {
      rules: this.#rules,
      newId: this.#newId,
      cell: (...identity) => this.#cell(...identity),
      cells: () => this.#cells.values(),
      due: (now) => this.#deadlines.due(now),
      adopt: (standings, rules) => {
        if (generation !== this.#generation) throw new InvariantError('an alert draft was applied over a newer state');
        this.#adopt(standings, rules);
      },
    };
    return new AlertDraft(ground);
  }

  /** Receipt time (epoch ms) at which the earliest pending state fires unless a reading comes first; null when none is. */
  nextDeadline(): number | null {
    return this.#deadlines.next((cell) => this.#deadline(cell));
  }

  /** Every alert that is firing, in no particular order. */
  *openAlerts(): Iterable<Alert> {
    for (const cell of this.#open) {
      const alert = cell.standing.state?.alert;
      if (alert) yield alert;
    }
  }

  #adopt(standings: ReadonlyMap<AlertCell, Standing>, rules: RuleSet): void {
    this.#generation++;
    const rulesChanged = rules !== this.#rules;
    this.#rules = rules;
    for (const [cell, standing] of standings) this.#settle(cell, standing);
    if (!rulesChanged) return;
    // Another `for` may bring deadlines forward, which the queue cannot see by itself.
    this.#deadlines.clear();
    for (const cell of this.#cells.values()) this.#schedule(cell);
  }

  #settle(cell: AlertCell, standing: Standing): void {
    cell.standing = standing;
    const { state } = standing;
    if (state?.alert) this.#open.add(cell);
    else this.#open.delete(cell);
    // A breach that ended before it ever fired leaves nothing worth remembering.
    if (state && (state.phase !== 'inactive' || state.sequence > 0)) this.#cells.set(cell.key, cell);
    else this.#cells.delete(cell.key);
    this.#schedule(cell);
  }

  #schedule(cell: AlertCell): void {
    const deadline = this.#deadline(cell);
    if (deadline < Number.POSITIVE_INFINITY) this.#deadlines.schedule(cell, deadline);
  }

  #deadline(cell: AlertCell): number {
    const rule = this.#rules.rule(cell.ruleId);
    return rule ? silenceDeadline(rule, cell.standing) : Number.POSITIVE_INFINITY;
  }

  #cell(ruleId: string, device: string, metric: string): AlertCell {
    return this.#cells.get(cellKey(ruleId, device, metric)) ?? newCell(ruleId, device, metric);
  }
}

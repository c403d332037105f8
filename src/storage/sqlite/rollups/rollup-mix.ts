import { joinedDeviations, joinSummaries, type Summary, type SummaryMore } from '../../../history/summary.ts';
import type { RollupColumns } from './rollup-columns.ts';

/** Puts the buckets of `known` and of `more`, readings that came too late to be sorted in, together into `mixed`. */
export function mixColumns(known: RollupColumns, more: RollupColumns, mixed: RollupColumns): void {
  mixed.clear();
  mixed.digits = known.digits === null || more.digits === null ? null : Math.max(known.digits, more.digits);
  if (known.to === 0) mixed.digits = more.digits;
  let left = 0;
  let right = 0;
  while (left < known.to || right < more.to) {
    const begin = Math.min(
      left < known.to ? known.begins[left] : Number.POSITIVE_INFINITY,
      right < more.to ? more.begins[right] : Number.POSITIVE_INFINITY,
    );
    const one = left < known.to && known.begins[left] === begin ? known.summaryAt(left++) : null;
    const other = right < more.to && more.begins[right] === begin ? more.summaryAt(right++) : null;
    if (one && other) mixed.append(begin, mixSummaries(one, other));
    else if (one) mixed.append(begin, one);
    else if (other) mixed.append(begin, other);
  }
}

/**
 * The summary of the readings of both, whose times may interlock; of two at one time those of `one` came first. What depends
 * on the order of the readings (increase and areas) is then that of the one with more of them: the readings between which
 * the others stood are gone.
 */
export function mixSummaries(one: Summary, other: Summary): Summary {
  if (one.lastTime < other.firstTime) return joinSummaries(one, other);
  if (other.lastTime < one.firstTime) return joinSummaries(other, one);
  const first = other.firstTime < one.firstTime ? other : one;
  const last = other.lastTime >= one.lastTime ? other : one;
  const main = other.numbers > one.numbers ? other : one;
  const rest = main === one ? other : one;
  return {
    firstTime: first.firstTime,
    lastTime: last.lastTime,
    count: one.count + other.count,
    numbers: one.numbers + other.numbers,
    min: rest.numbers === 0 ? main.min : Math.min(main.min, rest.min),
    max: rest.numbers === 0 ? main.max : Math.max(main.max, rest.max),
    sum: one.sum + other.sum,
    first: first.first,
    last: last.last,
    more: one.more && other.more && mixMore(one, one.more, other, other.more),
  };
}

function mixMore(one: Summary, ofOne: SummaryMore, other: Summary, ofOther: SummaryMore): SummaryMore {
  if (other.numbers === 0) return ofOne;
  if (one.numbers === 0) return ofOther;
  const first = ofOther.firstNumberTime < ofOne.firstNumberTime ? ofOther : ofOne;
  const last = ofOther.lastNumberTime >= ofOne.lastNumberTime ? ofOther : ofOne;
  return {
    ...(other.numbers > one.numbers ? ofOther : ofOne),
    deviations: joinedDeviations(
      { count: one.numbers, sum: one.sum, deviations: ofOne.deviations },
      { count: other.numbers, sum: other.sum, deviations: ofOther.deviations },
    ),
    firstNumber: first.firstNumber,
    firstNumberTime: first.firstNumberTime,
    lastNumber: last.lastNumber,
    lastNumberTime: last.lastNumberTime,
  };
}

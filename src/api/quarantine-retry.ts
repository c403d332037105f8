import { RejectedError } from '../base/errors.ts';
import type { Retried, RetryFilter } from '../contract/quarantine.ts';
import type { QuarantineRecord } from '../domain/quarantine.ts';
import { compileFilters } from '../domain/topic-filter.ts';
import type { ApiPorts } from './ports.ts';

/** Records read at a time: each may hold a payload of the largest size. */
const pageRecords = 100;
/** Messages under way at once, so that a commit has something to group. */
const together = 32;

/** Tries the oldest `limit` messages that the filter means again; ends early when `signal` aborts. */
export async function retryMatching(
  { reader, quarantine }: Pick<ApiPorts, 'reader' | 'quarantine'>,
  filter: RetryFilter,
  signal: AbortSignal,
): Promise<Retried> {
  const ids = await matchingIds(reader, filter, signal);
  const tried = ids.slice(-filter.limit).reverse();
  const retried = { accepted: 0, refused: 0, stored: 0, replaced: 0, identical: 0 };
  const reasons: Record<string, number> = {};
  for (let at = 0; at < tried.length && !signal.aborted; at += together) {
    await Promise.all(tried.slice(at, at + together).map(retryOne));
  }
  return { ...retried, reasons, more: ids.length > tried.length };

  async function retryOne(id: number): Promise<void> {
    const record = await reader.quarantined(id);
    // It made room for newer ones, or somebody else was quicker.
    if (!record) return;
    try {
      const { stored, replaced, identical } = await quarantine.retry(record);
      retried.accepted++;
      retried.stored += stored;
      retried.replaced += replaced;
      retried.identical += identical;
    } catch (error) {
      if (!(error instanceof RejectedError)) throw error;
      retried.refused++;
      reasons[error.code] = (reasons[error.code] ?? 0) + 1;
    }
  }
}

/** Newest first, as the store gives them. */
async function matchingIds(
  reader: ApiPorts['reader'],
  { reason, topic }: RetryFilter,
  signal: AbortSignal,
): Promise<number[]> {
  const topics = topic === undefined ? null : compileFilters([topic]);
  const ids: number[] = [];
  let page: readonly QuarantineRecord[] = [];
  do {
    page = await reader.quarantine({ limit: pageRecords, before: page.at(-1)?.id });
    for (const record of page) {
      if (reason !== undefined && record.reason !== reason) continue;
      if (topics === null || topics.matches(record.topic)) ids.push(record.id);
    }
  } while (page.length === pageRecords && !signal.aborted);
  return ids;
}

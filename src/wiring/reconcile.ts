import type { Catalog, CatalogSnapshot } from '../catalog/catalog.ts';
import type { Courier } from '../webhooks/courier.ts';
import type { Memory } from './memory.ts';
import type { Stream } from './stream.ts';

const pageSize = 1_000;

/** What people changed reaches the stream in order with the readings. */
export function followRulesAndWebhooks(
  snapshot: CatalogSnapshot,
  previous: CatalogSnapshot,
  { stream, courier }: { readonly stream: Stream; readonly courier: Courier },
): void {
  if (snapshot.rules !== previous.rules) stream.submit({ rules: snapshot.rules });
  if (snapshot.webhooks === previous.webhooks) return;
  const kept = new Set(snapshot.webhooks.map((webhook) => webhook.id));
  const removedWebhooks = previous.webhooks.map(({ id }) => id).filter((id) => !kept.has(id));
  for (const id of removedWebhooks) courier.webhookRemoved(id);
  if (removedWebhooks.length > 0) stream.submit({ removedWebhooks });
  for (const webhook of snapshot.webhooks) {
    if (!previous.webhooks.includes(webhook)) courier.webhookChanged(webhook.id);
  }
}

/**
 * What changed while nobody watched: alerts of rules that vanished resolve, deliveries of vanished webhooks are cancelled.
 */
export async function reconcile({
  catalog,
  memory: { engine },
  stream,
}: {
  readonly catalog: Catalog;
  readonly memory: Memory;
  readonly stream: Stream;
}): Promise<void> {
  const { rules, webhooks } = catalog.snapshot();
  stream.submit({ rules });
  const known = new Set(webhooks.map((webhook) => webhook.id));
  const vanished = new Set<string>();
  for (let after: { seq: number; id: string } | undefined; ; ) {
    const page = await engine.reader.deliveries({ state: 'pending', order: 'asc', limit: pageSize, after });
    for (const { webhookId } of page) if (!known.has(webhookId)) vanished.add(webhookId);
    const last = page.at(-1);
    if (!last || page.length < pageSize) break;
    after = { seq: last.seq, id: last.id };
  }
  if (vanished.size > 0) stream.submit({ removedWebhooks: [...vanished] });
}

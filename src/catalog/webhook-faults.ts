import type { Fault } from '../base/errors.ts';
import { compileGlob } from '../domain/glob.ts';
import type { Webhook } from '../domain/webhook.ts';
import { webhookEventTypes } from '../domain/webhook.ts';

/** What of a webhook can be wrong although every field has the right type. Whether its target may be reached is not asked here. */
export function webhookFaults(webhook: Pick<Webhook, 'url' | 'events'>): readonly Fault[] {
  const faults: Fault[] = [];
  const url = URL.parse(webhook.url);
  if (!url || !/^https?:$/.test(url.protocol)) {
    faults.push(fault('/url', 'a webhook needs a whole http or https URL'));
  } else if (url.username !== '' || url.password !== '') {
    faults.push(fault('/url', 'a webhook URL must not carry a user name or password; receivers verify the signature'));
  }
  for (const [index, glob] of webhook.events.entries()) {
    if (webhookEventTypes.some(compileGlob(glob))) continue;
    faults.push(
      fault(`/events/${index}`, `no event type matches "${glob}"; there are ${webhookEventTypes.join(', ')}`),
    );
  }
  return faults;
}

function fault(pointer: string, detail: string): Fault {
  return { pointer, code: 'validation_failed', detail };
}

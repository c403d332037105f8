import type { JSX } from 'preact';
import type { Alert } from '../../contract/alert.ts';
import { now, rest } from '../gateway.ts';
import { deviceHash } from '../route.ts';
import { spanText } from '../time-text.ts';
import { metricText, unitText } from '../unit-text.ts';
import { valueText } from '../value-text.ts';
import { Ago } from './ago.tsx';
import { Mark } from './mark.tsx';

const severities = { critical: 'Critical', warning: 'Warning', info: 'Info' } as const;

/** One episode: how bad, where, what crossed what, since when and for how long. */
export function AlertRow({ alert }: { readonly alert: Alert }): JSX.Element {
  const isFiring = alert.state === 'firing';
  const unit = unitText(alert.unit, alert.metric);
  const end = alert.resolvedAt === null ? now.value + rest.clockAhead : Date.parse(alert.resolvedAt);
  return (
    <li class={`row alert-row${isFiring ? '' : ' is-resolved'}`} data-testid="alert" data-state={alert.state}>
      <Mark kind={isFiring ? alert.severity : 'good'} text={isFiring ? severities[alert.severity] : 'Resolved'} />
      <div class="row-main">
        <p class="row-title">{alert.rule.name}</p>
        <p class="row-detail">
          <a href={deviceHash(alert.device)}>{alert.device}</a> {metricText(alert.metric)}{' '}
          {isFiring ? 'reached' : 'came back to'}{' '}
          <strong class="number">
            {valueText(alert.value)} {unit}
          </strong>
          , limit {valueText(alert.threshold)}
          {alert.reason === 'rule_deleted' && ' · the rule was deleted'}
          {alert.reason === 'rule_changed' && ' · the rule was changed'}
        </p>
      </div>
      <p class="row-side">
        <Ago time={alert.firedAt} />
        <span class="quiet">
          {isFiring ? 'for' : 'lasted'} {spanText(end - Date.parse(alert.startedAt))}
        </span>
      </p>
    </li>
  );
}

import type { JSX } from 'preact';
import type { Device } from '../../contract/device.ts';
import { nameOf } from '../device-text.ts';
import { deviceHash } from '../route.ts';
import { metricText } from '../unit-text.ts';
import { Ago } from './ago.tsx';
import { DeviceState } from './device-state.tsx';
import { LiveValue } from './live-value.tsx';
import { Mark } from './mark.tsx';

/** One device at a glance: how it is, and the value that it is there for. */
export function DeviceTile({
  device,
  metric,
  alerts,
}: {
  readonly device: Device;
  readonly metric: string | null;
  readonly alerts: number;
}): JSX.Element {
  return (
    <li>
      <a
        class={`tile tile-${alerts > 0 ? 'alarm' : device.state}`}
        href={deviceHash(device.id)}
        data-testid="device-tile"
        data-device={device.id}
      >
        <span class="tile-name" title={device.id}>
          {nameOf(device)}
        </span>
        <span class="tile-value">
          {metric === null ? <span class="quiet">no values</span> : <LiveValue device={device.id} metric={metric} />}
        </span>
        <span class="tile-metric">{metric === null ? '' : metricText(metric)}</span>
        <span class="tile-foot">
          {alerts > 0 ? (
            <Mark kind="critical" text={alerts === 1 ? '1 alert' : `${alerts} alerts`} />
          ) : (
            <DeviceState device={device} isShort />
          )}
          {device.state !== 'online' && <Ago time={device.lastSeen} />}
        </span>
      </a>
    </li>
  );
}

import type { JSX } from 'preact';
import type { Device } from '../../contract/device.ts';
import { causeText } from '../device-text.ts';
import { now, rest } from '../gateway.ts';
import { Mark } from './mark.tsx';

const marks = {
  online: { kind: 'good', text: 'Online' },
  offline: { kind: 'off', text: 'Offline' },
  unknown: { kind: 'unknown', text: 'Unknown' },
} as const;

/** Whether it is there, and why the gateway thinks so; whether it is let in comes before both. */
export function DeviceState({
  device,
  isShort = false,
}: {
  readonly device: Device;
  /** Without the cause. */
  readonly isShort?: boolean;
}): JSX.Element {
  if (device.approval === 'blocked') return <Mark kind="off" text="Blocked" />;
  if (device.approval === 'pending') return <Mark kind="waiting" text={isShort ? 'Waits' : 'Waits for approval'} />;
  const cause = isShort ? '' : causeText(device, now.value + rest.clockAhead);
  return (
    <span class="device-state">
      <Mark {...marks[device.state]} />
      {cause !== '' && <span class="quiet table-note">{cause}</span>}
    </span>
  );
}

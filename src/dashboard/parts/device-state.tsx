import type { JSX } from 'preact';
import type { DeviceState as State } from '../../contract/device.ts';
import { Mark } from './mark.tsx';

const marks = {
  online: { kind: 'good', text: 'Online' },
  offline: { kind: 'off', text: 'Offline' },
  unknown: { kind: 'unknown', text: 'Unknown' },
} as const;

export function DeviceState({ state }: { readonly state: State }): JSX.Element {
  return <Mark {...marks[state]} />;
}

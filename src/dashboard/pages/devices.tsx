import type { JSX } from 'preact';
import { useRef, useState } from 'preact/hooks';
import type { Device } from '../../contract/device.ts';
import { fleetEveryMs, fleetMax, loadFleet } from '../fleet.ts';
import { latest, openAlerts, rest } from '../gateway.ts';
import { Ago } from '../parts/ago.tsx';
import { DeviceState } from '../parts/device-state.tsx';
import { Icon } from '../parts/icon.tsx';
import { LiveValue } from '../parts/live-value.tsx';
import { Mark } from '../parts/mark.tsx';
import { EmptyNote, FirstRun, ProblemNote, Skeleton } from '../parts/note.tsx';
import { useResource } from '../resource.ts';
import { deviceHash } from '../route.ts';
import { metricText } from '../unit-text.ts';
import { useKeyMetrics } from '../use-key-metrics.ts';
import { countText } from '../value-text.ts';

const pageSize = 50;
const states = ['all', 'online', 'offline', 'unknown'] as const;
type StateFilter = (typeof states)[number];

/** The fleet as a list that is filtered while typing, fifty devices a page. */
export function DevicesPage(): JSX.Element {
  const size = useRef(0);
  const fleet = useResource('fleet', (signal) => loadFleet(rest, signal), fleetEveryMs(size.current));
  const [text, setText] = useState('');
  const [state, setState] = useState<StateFilter>('all');
  const [page, setPage] = useState(0);
  size.current = fleet.value?.devices.length ?? 0;

  if (fleet.value === null) {
    if (fleet.problem !== null) return <ProblemNote problem={fleet.problem} reload={fleet.reload} />;
    return <Skeleton rows={8} />;
  }
  if (fleet.value.devices.length === 0) return <FirstRun />;
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = fleet.value.devices.filter(
    (device) => (state === 'all' || device.state === state) && words.every((word) => describe(device).includes(word)),
  );
  const last = Math.max(0, Math.ceil(found.length / pageSize) - 1);
  const at = Math.min(page, last);
  const counts = (one: StateFilter): number =>
    one === 'all' ? size.current : (fleet.value?.devices.filter((device) => device.state === one).length ?? 0);
  return (
    <div class="page">
      <h1>Devices</h1>
      <div class="filters">
        <label class="search">
          <Icon name="search" />
          <span class="hidden">Filter by id or attribute</span>
          <input
            type="search"
            placeholder="Filter by id or attribute"
            value={text}
            onInput={(input) => {
              setText(input.currentTarget.value);
              setPage(0);
            }}
          />
        </label>
        <div class="choice" role="group" aria-label="State">
          {states
            .filter((one) => one === 'all' || counts(one) > 0)
            .map((one) => (
              <button
                key={one}
                type="button"
                aria-pressed={one === state}
                onClick={() => {
                  setState(one);
                  setPage(0);
                }}
              >
                {one.charAt(0).toUpperCase() + one.slice(1)} <span class="quiet number">{countText(counts(one))}</span>
              </button>
            ))}
        </div>
      </div>
      {!fleet.value.isComplete && (
        <p class="quiet">The first {countText(fleetMax)} devices are listed; ask REST for the others.</p>
      )}
      {found.length === 0 ? (
        <EmptyNote title="No device matches">
          <p>Nothing among {countText(size.current)} devices has all of these words in its id or attributes.</p>
        </EmptyNote>
      ) : (
        <DeviceTable devices={found.slice(at * pageSize, (at + 1) * pageSize)} />
      )}
      {last > 0 && (
        <nav class="pager" aria-label="Pages of devices">
          <button type="button" class="button" disabled={at === 0} onClick={() => setPage(at - 1)}>
            Previous
          </button>
          <span class="number">
            {countText(at * pageSize + 1)}–{countText(Math.min(found.length, (at + 1) * pageSize))} of{' '}
            {countText(found.length)}
          </span>
          <button type="button" class="button" disabled={at === last} onClick={() => setPage(at + 1)}>
            Next
          </button>
        </nav>
      )}
    </div>
  );
}

function DeviceTable({ devices }: { readonly devices: readonly Device[] }): JSX.Element {
  const metrics = useKeyMetrics(devices.map((device) => device.id));
  const firing = new Set((openAlerts.open.value ?? []).map((alert) => alert.device));
  return (
    <table class="table">
      <thead>
        <tr>
          <th scope="col">Device</th>
          <th scope="col">State</th>
          <th scope="col">Now</th>
          <th scope="col" class="wide">
            Metrics
          </th>
          <th scope="col">Last seen</th>
        </tr>
      </thead>
      <tbody>
        {devices.map((device) => {
          const metric = metrics.get(device.id);
          return (
            <tr key={device.id} data-testid="device-row" data-device={device.id}>
              <th scope="row">
                <a href={deviceHash(device.id)}>{device.id}</a>
                <span class="quiet table-note">{modelOf(device)}</span>
              </th>
              <td>
                <DeviceState state={device.state} />
                {firing.has(device.id) && <Mark kind="critical" text="Alert" />}
              </td>
              <td>
                {metric === undefined ? (
                  <span class="quiet">–</span>
                ) : (
                  <>
                    <LiveValue device={device.id} metric={metric} />
                    <span class="quiet table-note">{metricText(metric)}</span>
                  </>
                )}
              </td>
              <td class="wide number">{countText(device.metricCount)}</td>
              <td>
                <LastSeen device={device} metric={metric} />
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

/** A value that has just come says more than the list, which is asked for now and then. */
function LastSeen({ device, metric }: { readonly device: Device; readonly metric: string | undefined }): JSX.Element {
  const newest = metric === undefined ? null : latest.cell(device.id, metric).value;
  return <Ago time={Math.max(Date.parse(device.lastSeen), newest?.time ?? 0)} />;
}

function modelOf(device: Device): string {
  const model = device.attributes.model;
  return typeof model === 'string' ? model : '';
}

function describe(device: Device): string {
  return `${device.id} ${Object.values(device.attributes).join(' ')}`.toLowerCase();
}

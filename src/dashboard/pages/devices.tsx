import type { JSX } from 'preact';
import { useRef, useState } from 'preact/hooks';
import type { Device } from '../../contract/device.ts';
import { fleetEveryMs, fleetMax, loadFleet } from '../fleet.ts';
import { nameOf, tagTexts } from '../device-text.ts';
import { latest, openAlerts, rest } from '../gateway.ts';
import { AddDevice } from '../parts/add-device.tsx';
import { Ago } from '../parts/ago.tsx';
import { ApprovalQueue } from '../parts/approval-queue.tsx';
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
const states = ['all', 'online', 'offline', 'unknown', 'blocked'] as const;
type StateFilter = (typeof states)[number];

/** The fleet as a list that is filtered while typing, fifty devices a page; who waits for approval stands above it. */
export function DevicesPage(): JSX.Element {
  const size = useRef(0);
  const fleet = useResource('fleet', (signal) => loadFleet(rest, signal), fleetEveryMs(size.current));
  const [isAdding, setIsAdding] = useState(false);
  size.current = fleet.value?.devices.length ?? 0;

  if (fleet.value === null) {
    if (fleet.problem !== null) return <ProblemNote problem={fleet.problem} reload={fleet.reload} />;
    return <Skeleton rows={8} />;
  }
  const { devices, isComplete } = fleet.value;
  return (
    <div class="page">
      <header class="page-head">
        <h1>Devices</h1>
        {!isAdding && (
          <button type="button" class="button button-main" onClick={() => setIsAdding(true)}>
            Add device
          </button>
        )}
      </header>
      {isAdding && <AddDevice onAdded={fleet.reload} onClose={() => setIsAdding(false)} />}
      <ApprovalQueue waiting={devices.filter(({ approval }) => approval === 'pending')} onDecided={fleet.reload} />
      {fleet.problem !== null && <p class="problem">This list is old: {fleet.problem.title}.</p>}
      {!isComplete && <p class="quiet">The first {countText(fleetMax)} devices are listed; ask REST for the others.</p>}
      {devices.length === 0 ? !isAdding && <FirstRun /> : <FilteredDevices devices={devices} />}
    </div>
  );
}

function FilteredDevices({ devices }: { readonly devices: readonly Device[] }): JSX.Element {
  const [text, setText] = useState('');
  const [state, setState] = useState<StateFilter>('all');
  const [tag, setTag] = useState('');
  const [page, setPage] = useState(0);
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const tags = [...new Set(devices.flatMap((device) => tagTexts(device.tags)))].toSorted();
  // The last device with a tag may lose it while it is filtered by.
  const chosenTag = tags.includes(tag) ? tag : '';
  const named = devices.filter(
    (device) =>
      (chosenTag === '' || tagTexts(device.tags).includes(chosenTag)) &&
      words.every((word) => describe(device).includes(word)),
  );
  const found = named.filter((device) => isIn(state, device));
  const last = Math.max(0, Math.ceil(found.length / pageSize) - 1);
  const at = Math.min(page, last);
  return (
    <>
      <div class="filters">
        <label class="search">
          <Icon name="search" />
          <span class="hidden">Filter by name, id, tag or attribute</span>
          <input
            type="search"
            placeholder="Filter by name, id, tag…"
            value={text}
            onInput={(input) => {
              setText(input.currentTarget.value);
              setPage(0);
            }}
          />
        </label>
        {tags.length > 0 && (
          <label class="tag-filter">
            <span class="hidden">Tag</span>
            <select
              name="tag"
              value={chosenTag}
              onChange={(change) => {
                setTag(change.currentTarget.value);
                setPage(0);
              }}
            >
              <option value="">Every tag</option>
              {tags.map((one) => (
                <option key={one} value={one}>
                  {one}
                </option>
              ))}
            </select>
          </label>
        )}
        <div class="choice" role="group" aria-label="State">
          {states
            .filter((one) => one === 'all' || one === state || devices.some((device) => isIn(one, device)))
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
                {one.charAt(0).toUpperCase() + one.slice(1)}{' '}
                <span class="quiet number">{countText(named.filter((device) => isIn(one, device)).length)}</span>
              </button>
            ))}
        </div>
      </div>
      {found.length === 0 ? (
        <EmptyNote title="No device matches">
          <p>Nothing among {countText(devices.length)} devices is like that.</p>
          <button
            type="button"
            class="button"
            onClick={() => {
              setText('');
              setTag('');
              setState('all');
            }}
          >
            Show all
          </button>
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
    </>
  );
}

/** A device that is not let in is in no state: what it says does not count. */
function isIn(filter: StateFilter, { state, approval }: Device): boolean {
  if (filter === 'all') return true;
  return approval === 'approved' ? filter === state : filter === approval;
}

function DeviceTable({ devices }: { readonly devices: readonly Device[] }): JSX.Element {
  const metrics = useKeyMetrics(devices);
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
                <a href={deviceHash(device.id)}>{nameOf(device)}</a>
                <span class="quiet table-note">
                  {[device.name === '' ? '' : device.id, device.profile ?? modelOf(device)].filter(Boolean).join(' · ')}
                </span>
                {tagTexts(device.tags).map((one) => (
                  <span key={one} class="tag">
                    {one}
                  </span>
                ))}
              </th>
              <td>
                <DeviceState device={device} />
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
  const seen = Math.max(device.lastSeen === null ? 0 : Date.parse(device.lastSeen), newest?.time ?? 0);
  return <Ago time={seen === 0 ? null : seen} />;
}

function modelOf(device: Device): string {
  const model = device.attributes.model;
  return typeof model === 'string' ? model : '';
}

function describe(device: Device): string {
  const { id, name, profile, tags, attributes } = device;
  return [id, name, profile ?? '', ...tagTexts(tags), ...Object.values(attributes)].join(' ').toLowerCase();
}

import type { JSX } from 'preact';
import { useMemo } from 'preact/hooks';
import { latest } from '../gateway.ts';
import { unitText } from '../unit-text.ts';
import { booleanText, valueText } from '../value-text.ts';

/** The current value of one series; only its text changes when a reading comes. */
export function LiveValue({ device, metric }: { readonly device: string; readonly metric: string }): JSX.Element {
  const current = latest.cell(device, metric).value;
  const value = current?.value;
  const seen = useMemo(() => ({ fractions: false }), [device, metric]);
  if (typeof value === 'number' && !Number.isInteger(value)) seen.fractions = true;
  const unit = unitText(current?.unit, metric);
  return (
    <span class="live-value">
      <span class="number" data-testid="live-value" data-device={device} data-metric={metric} data-time={current?.time}>
        {typeof value === 'boolean' ? booleanText(metric, value) : valueText(value, seen.fractions)}
      </span>
      {unit !== '' && <span class="unit">{unit}</span>}
    </span>
  );
}

import type { MetricsSnapshot } from '../api/metrics.ts';
import type { CommandBook } from '../commands/command-book.ts';
import type { Ledger } from '../pipeline/ledger.ts';
import type { Memory } from './memory.ts';
import type { MqttSide } from './mqtt-side.ts';
import type { Outlets } from './outlets.ts';
import type { Stream } from './stream.ts';

/** What every room counts, at one moment. */
export async function metricsSnapshot(parts: {
  readonly ledger: Ledger;
  readonly memory: Memory;
  readonly stream: Stream;
  readonly outlets: Outlets;
  readonly commands: CommandBook;
  readonly mqtt: MqttSide;
}): Promise<MetricsSnapshot> {
  const { ledger, memory, stream, outlets, commands, mqtt } = parts;
  const { devices, registry, alerts, engine } = memory;
  return {
    messages: ledger.messages,
    readings: ledger.readings,
    refusals: ledger.refusals,
    clockCorrected: ledger.clockCorrected,
    timesTruncated: ledger.timesTruncated,
    commits: ledger.commits,
    commitFailures: ledger.commitFailures,
    window: stream.window,
    devices: { known: devices.size, online: devices.online },
    series: registry.size,
    openAlerts: [...alerts.openAlerts()].length,
    commands: commands.counts(),
    mqtt: mqtt.counts(),
    live: outlets.live.stats(),
    courier: outlets.courier.stats(),
    engine: await engine.reader.stats().catch(() => null),
  };
}

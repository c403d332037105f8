/**
 * Every message and every reading is accounted for. At rest:
 *
 *   messages: received = accepted + control + relayed + refused + shed + redelivered
 *   readings: decoded  = stored + replaced + identical
 *
 * `accepted` carried readings; `control` carried device facts or a command; `relayed` belongs to no dialect of ours and
 * went to MQTT subscribers; `refused` lies in the quarantine or was answered with an error; `shed` was dropped (QoS 0)
 * or given back unacknowledged because its commit failed; `redelivered` had been settled, or was still being settled.
 */
export class Ledger {
  readonly messages = { received: 0, accepted: 0, control: 0, relayed: 0, refused: 0, shed: 0, redelivered: 0 };
  readonly readings = { decoded: 0, stored: 0, replaced: 0, identical: 0 };
  /** Why messages were refused, by error code. */
  readonly refusals = new Map<string, number>();
  clockCorrected = 0;
  timesTruncated = 0;
  commits = 0;
  commitFailures = 0;
  quarantined = 0;

  refuse(code: string): void {
    this.messages.refused++;
    this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1);
  }

  /** The two equations; both are 0 when every message and every reading is accounted for. */
  imbalance(): { readonly messages: number; readonly readings: number } {
    const { received, accepted, control, relayed, refused, shed, redelivered } = this.messages;
    const { decoded, stored, replaced, identical } = this.readings;
    return {
      messages: received - accepted - control - relayed - refused - shed - redelivered,
      readings: decoded - stored - replaced - identical,
    };
  }
}

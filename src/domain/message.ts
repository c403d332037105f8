import type { SettledMessage } from './commit.ts';
import type { Sender } from './principal.ts';

/** Topic and bytes as they came. */
export interface Message {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1 | 2;
  /** MQTT client id; null for a will whose client is gone. */
  readonly client: string | null;
  readonly sender: Sender;
  /** What makes its redelivery recognisable; null for QoS 0 and for wills, which have no packet id. */
  readonly identity: SettledMessage | null;
}

/** The answer owed to the sender: called once, without an argument when the message is on disk or refused for good. */
export type Receipt = (failure?: Error) => void;

import type { Message, Receipt } from '../domain/message.ts';

/** Where messages go, whichever broker they come from. */
export interface MessageSink {
  /** Settles the receipt once the message is on disk (QoS 1, 2) or has its place in the window (QoS 0). */
  receive(message: Message, receipt: Receipt): void;
  /** A message arrived again that is settled, or being settled. */
  redelivered(): void;
}

import type { BrokerSink } from '../broker-parts.ts';
import type { SessionStore } from './session-store.ts';

/**
 * A sink whose receipts also wait until what their message leaves in sessions is on disk: the sender of a QoS 1 or 2
 * message hears of it only then. Message and rows are handed to the pipeline in the same turn.
 */
export function writeAhead(sink: BrokerSink, sessions: Pick<SessionStore, 'prepare'>): BrokerSink {
  return {
    receive: (message, receipt) => {
      const prepared = message.qos > 0 ? sessions.prepare(message.payload) : null;
      if (!prepared) {
        sink.receive(message, receipt);
        return;
      }
      const fail = (failure: Error): void => {
        prepared.abandon();
        receipt(failure);
      };
      sink.receive(message, (failure) => {
        if (failure) fail(failure);
        else prepared.written.then(() => receipt(), fail);
      });
    },
    redelivered: () => sink.redelivered(),
    refused: (code) => sink.refused(code),
  };
}

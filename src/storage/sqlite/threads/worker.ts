import type { MessagePort } from 'node:worker_threads';
import { parentPort, workerData } from 'node:worker_threads';
import { InvariantError, messageOf } from '../../../base/errors.ts';
import { maintenanceRole } from './maintenance-role.ts';
import { readerRole } from './reader-role.ts';
import type { Role } from './role.ts';
import { StoreRefusedError } from '../schema.ts';
import { TransactionError } from '../transaction.ts';
import type { Failure, Request, Response, WorkerSetup } from './worker-messages.ts';
import { writerRole } from './writer-role.ts';

function serve(port: MessagePort, role: Role): void {
  let isWorkPlanned = false;
  const planWork = (): void => {
    if (isWorkPlanned || !role.work) return;
    isWorkPlanned = true;
    // After what is waiting in the port: a commit never queues behind more than one step of work.
    setImmediate(() => {
      isWorkPlanned = false;
      if (role.work?.()) planWork();
    });
  };
  port.on('message', (request: Request) => {
    try {
      const { answer, transfer } = role.answer(request.name, request.question);
      port.postMessage({ id: request.id, answer } satisfies Response, transfer ?? []);
    } catch (error) {
      const { answer: returned, transfer } = role.returned?.(request.name, request.question) ?? { answer: null };
      port.postMessage({ id: request.id, failure: failureOf(error), returned } satisfies Response, transfer ?? []);
    }
    planWork();
  });
}

function failureOf(thrown: unknown): Failure {
  const message = messageOf(thrown);
  if (thrown instanceof StoreRefusedError) return { kind: 'refused_open', message };
  if (thrown instanceof TransactionError) {
    return { kind: 'transaction', message, outcome: thrown.outcome, reason: thrown.reason };
  }
  return { kind: 'other', message };
}

function roleOf(setup: WorkerSetup): Role {
  switch (setup.role) {
    case 'writer':
      return writerRole(setup.path);
    case 'reader':
      return readerRole(setup.path);
    default:
      return maintenanceRole(setup.path);
  }
}

if (!parentPort) throw new InvariantError('worker.ts is the script of a worker thread');
serve(parentPort, roleOf(workerData as WorkerSetup));

import { InvariantError } from '../../../base/errors.ts';

/** An answer, and the buffers that go along with it instead of being copied. */
export interface Answer<T> {
  readonly answer: T;
  readonly transfer?: readonly ArrayBuffer[];
}

/** A thread's role: how it answers each call of its table. */
export type Handlers<Table> = {
  readonly [Name in keyof Table]: Table[Name] extends { question: infer Question; answer: infer Result }
    ? (question: Question) => Answer<Result>
    : never;
};

/** What a thread of the engine does: one role, one connection, one question after the other. */
export interface Role {
  /** Answers a question, or throws. */
  answer(name: string, question: unknown): Answer<unknown>;
  /** What goes back with a failure: the buffers that came with the question. */
  returned?(name: string, question: unknown): Answer<unknown>;
  /** Work between two questions; true when there is more. Never throws. */
  work?(): boolean;
}

/** Looks a call up by its name. Both sides are compiled against the same table, which the name and question come from. */
export function answerWith<Table>(handlers: Handlers<Table>, name: string, question: unknown): Answer<unknown> {
  const table = handlers as unknown as Record<string, ((question: unknown) => Answer<unknown>) | undefined>;
  const handler = table[name];
  if (!handler) throw new InvariantError(`nobody answers "${name}"`);
  return handler(question);
}

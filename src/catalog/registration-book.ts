import { copyFile, open, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Clock, Timer } from '../base/clock.ts';
import { messageOf, RejectedError, TransientError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { SortedNames } from '../base/sorted-names.ts';
import type { Registration } from '../domain/registration.ts';
import { CatalogError, FileFaults } from './catalog-error.ts';
import { isMissing, missing, stampOf, syncFolder } from './durable-file.ts';
import { RegistrationJournal } from './registration-journal.ts';
import {
  type RegistrationChange,
  readRegistrationsText,
  registrationFaults,
  writeRegistrationsText,
} from './registrations-text.ts';

/** How a registration is looked up while a change is decided: as it will be once what is ahead of it is on disk. */
export type FindRegistration = (id: string) => Registration | undefined;

/** Says what changes, or throws what the caller is told. */
export type RegistrationDecision = (find: FindRegistration) => readonly RegistrationChange[];

export interface RegistrationBookParts {
  readonly dir: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Told after a change is durable and seen, before the call that made it resolves; ids are told once each. */
  readonly changed: (devices: readonly string[]) => void;
}

/** Quiet for so long, the journal is folded into the file, ms. */
const quietMs = 2_000;
/** How long after a fold that failed it is tried again, ms. */
const retryMs = 30_000;
/** A journal longer than this is folded at once, bytes. */
const journalBytesMax = 4 * 1_048_576;
/** How often a fold begins anew because an edit came in between. */
const foldsMax = 10;

/**
 * The registrations of 100,000 devices in memory and on disk, without a file rewritten for each:
 *
 *     change → a line of devices.journal, synced → seen and told
 *     quiet, or much of it → devices.json anew (temporary file, fsync, rename) → the journal is emptied
 *
 * Changes that come while a line is being synced share the next one. What is on disk is always devices.json with the
 * journal on top, so a kill between any two steps only makes the start apply lines that are in the file already.
 *
 * devices.json is for people, too. An edit is looked for before every line and every second, checked, and taken over with
 * the lines not yet folded on top. While an edit cannot be used, changes are refused and nothing is written over it.
 */
export class RegistrationBook {
  readonly #parts: RegistrationBookParts;
  readonly #path: string;
  readonly #journal: RegistrationJournal;
  readonly #registrations: Map<string, Registration>;
  readonly #order = new SortedNames();
  /** What the journal says beyond the file. */
  readonly #unfolded = new Map<string, Registration | null>();
  #waiting: { decide: RegistrationDecision; resolve: () => void; reject: (error: unknown) => void }[] = [];
  #turn: Promise<unknown> = Promise.resolve();
  #isFlushing = false;
  /** Of devices.json as it was last read or written. */
  #stamp: string;
  #fault: { readonly stamp: string; readonly error: CatalogError } | null = null;
  #foldTimer: Timer | null = null;
  #foldFault = '';
  #closing: Promise<void> | null = null;
  #isClosed = false;

  private constructor(
    parts: RegistrationBookParts,
    journal: RegistrationJournal,
    read: { readonly registrations: Map<string, Registration>; readonly stamp: string },
  ) {
    this.#parts = parts;
    this.#path = join(parts.dir, 'devices.json');
    this.#journal = journal;
    this.#registrations = read.registrations;
    for (const id of read.registrations.keys()) this.#order.add(id);
    this.#stamp = read.stamp;
  }

  /** Reads the file and its journal. Throws `CatalogError`, whose message says what to mend, and touches nothing. */
  static async open(parts: RegistrationBookParts): Promise<RegistrationBook> {
    const path = join(parts.dir, 'devices.json');
    // Taken before reading, so that an edit in between is noticed later rather than never.
    const stamp = await stampOf(path);
    const registrations = await readFileOf(path, nowOf(parts.clock));
    const { journal, changes } = await RegistrationJournal.open(join(parts.dir, 'devices.journal'));
    const book = new RegistrationBook(parts, journal, { registrations: registrations ?? new Map(), stamp });
    book.#apply(changes);
    if (changes.length > 0) book.#foldIn(quietMs);
    if (registrations) await book.#keepLastGood();
    return book;
  }

  /** Live: it is this map that changes. Registrations are frozen. */
  get registrations(): ReadonlyMap<string, Registration> {
    return this.#registrations;
  }

  /** In order of their ids, those behind `device`; null for all. A page of 100,000 costs the page. */
  *after(device: string | null): Iterable<Registration> {
    for (const id of this.#order.after(device)) {
      const registration = this.#registrations.get(id);
      if (registration) yield registration;
    }
  }

  /**
   * Decides when its turn comes and resolves once the outcome is durable. Rejects with what `decide` threw, `conflict`
   * while a faulty edit waits to be mended, `TransientError` when the disk failed; then nothing changed.
   */
  change(decide: RegistrationDecision): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ decide, resolve, reject });
      if (this.#isFlushing) return;
      this.#isFlushing = true;
      void this.#inTurn(() => this.#flush());
    });
  }

  /** Whether devices.json may have changed since it was last looked at. */
  async isTouched(): Promise<boolean> {
    const stamp = await stampOf(this.#path);
    return stamp !== this.#stamp && stamp !== this.#fault?.stamp;
  }

  /** Takes over an edit from outside, or reports once why it cannot be used. Throws `TransientError` when the disk failed. */
  refresh(): Promise<void> {
    return this.#inTurn(() => this.#takeOver());
  }

  /** Folds what there is and closes the journal; waits for changes under way. May be called twice. */
  close(): Promise<void> {
    this.#closing ??= this.#inTurn(async () => {
      this.#isClosed = true;
      this.#foldTimer?.cancel();
      await this.#fold();
      await this.#journal.close();
    });
    return this.#closing;
  }

  async #flush(): Promise<void> {
    let failure: unknown = null;
    try {
      await this.#takeOver();
      if (this.#fault) throw this.#conflict(this.#fault.error);
    } catch (error) {
      failure = error;
    }
    // What was asked meanwhile is in this line; what comes from now on makes the next.
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#isFlushing = false;
    const changes = new Map<string, RegistrationChange>();
    const find: FindRegistration = (id) => {
      const change = changes.get(id);
      return change ? (change.registration ?? undefined) : this.#registrations.get(id);
    };
    const decided: typeof waiting = [];
    for (const one of waiting) {
      try {
        if (failure !== null) throw failure;
        if (this.#isClosed) throw new TransientError('the catalog is closed', { code: 'stopping' });
        const made = one.decide(find);
        for (const { registration } of made) if (registration) refuseUnreadable(registration);
        for (const change of made) changes.set(change.id, change);
        decided.push(one);
      } catch (error) {
        one.reject(error);
      }
    }
    const list = [...changes.values()];
    try {
      if (list.length > 0) await this.#journal.append(list);
    } catch (error) {
      const reason = new TransientError(`devices.journal could not be written: ${messageOf(error)}`, { cause: error });
      for (const { reject } of decided) reject(reason);
      return;
    }
    if (list.length > 0) {
      this.#apply(list);
      this.#tell(list.map(({ id }) => id));
      this.#foldIn(quietMs);
    }
    for (const { resolve } of decided) resolve();
    if (this.#journal.bytes > journalBytesMax) await this.#fold();
  }

  #apply(changes: readonly RegistrationChange[]): void {
    for (const { id, registration } of changes) {
      this.#unfolded.set(id, registration);
      this.#keep(id, registration);
    }
  }

  #keep(id: string, registration: Registration | null): void {
    if (registration) {
      this.#registrations.set(id, frozen(registration));
      this.#order.add(id);
    } else {
      this.#registrations.delete(id);
      this.#order.delete(id);
    }
  }

  async #takeOver(): Promise<void> {
    const stamp = await stampOf(this.#path);
    if (stamp === this.#stamp && this.#fault === null) return;
    if (stamp === this.#fault?.stamp) return;
    try {
      const edited = await readFileOf(this.#path, nowOf(this.#parts.clock));
      if (edited === null) throw await goneError(this.#path);
      this.#replace(edited);
      this.#stamp = stamp;
      this.#fault = null;
      if (this.#unfolded.size > 0) this.#foldIn(quietMs);
      await this.#keepLastGood();
    } catch (error) {
      if (!(error instanceof CatalogError)) {
        throw new TransientError(`devices.json could not be read: ${messageOf(error)}`, { cause: error });
      }
      if (this.#fault?.error.message !== error.message) {
        const facts = { file: error.file, problem: error.message };
        this.#parts.log.error(facts, 'an edit cannot be used; what was before holds on');
      }
      this.#fault = { stamp, error };
    }
  }

  /** The file as edited, with what it cannot know of yet on top. */
  #replace(edited: ReadonlyMap<string, Registration>): void {
    const next = new Map(edited);
    for (const [id, registration] of this.#unfolded) {
      if (registration) next.set(id, registration);
      else next.delete(id);
    }
    const changed = [...this.#registrations.keys()].filter((id) => !next.has(id));
    for (const [id, registration] of next) {
      const before = this.#registrations.get(id);
      if (before && JSON.stringify(before) === JSON.stringify(registration)) next.set(id, before);
      else changed.push(id);
    }
    for (const id of this.#registrations.keys()) this.#order.delete(id);
    // Anew, so that the map is in the order of the file.
    this.#registrations.clear();
    for (const [id, registration] of next) this.#keep(id, registration);
    if (changed.length === 0) return;
    this.#parts.log.info({ file: 'devices.json', devices: changed.length }, 'an edit from outside was taken over');
    this.#tell(changed);
  }

  #foldIn(delayMs: number): void {
    this.#foldTimer?.cancel();
    if (this.#isClosed) return;
    this.#foldTimer = this.#parts.clock.after(delayMs, () => void this.#inTurn(() => this.#fold()));
  }

  /** Never fails its caller: the journal has everything, and the next fold tries again. */
  async #fold(): Promise<void> {
    try {
      for (let turn = 0; turn < foldsMax && this.#unfolded.size > 0; turn++) {
        await this.#takeOver();
        if (this.#fault) return;
        if (!(await this.#writeFile())) continue;
        await this.#journal.clear();
        this.#unfolded.clear();
        this.#foldFault = '';
        await this.#keepLastGood();
      }
    } catch (error) {
      const fault = messageOf(error);
      // Said once, not at every try.
      if (fault !== this.#foldFault) {
        this.#parts.log.warn({ error: fault }, 'devices.journal could not be folded into devices.json yet');
      }
      this.#foldFault = fault;
      this.#foldIn(retryMs);
    }
  }

  /** Writes devices.json anew; false when an edit came in between, which is not written over. */
  async #writeFile(): Promise<boolean> {
    const temporary = `${this.#path}.tmp`;
    try {
      const stamp = await writeSynced(temporary, this.#registrations.values());
      if ((await stampOf(this.#path)) !== this.#stamp) return false;
      await rename(temporary, this.#path);
      this.#stamp = stamp;
    } finally {
      await rm(temporary, { force: true }).catch(() => {});
    }
    await syncFolder(dirname(this.#path));
    return true;
  }

  /** The copy is for people, after the fact; failing to keep it does not fail what it copies. */
  async #keepLastGood(): Promise<void> {
    const copy = lastGoodOf(this.#path);
    try {
      await copyFile(this.#path, `${copy}.tmp`);
      await rename(`${copy}.tmp`, copy);
    } catch (error) {
      this.#parts.log.warn({ file: basename(copy), error: messageOf(error) }, 'the last good copy was not kept');
    }
  }

  #tell(devices: readonly string[]): void {
    try {
      this.#parts.changed(devices);
    } catch (error) {
      this.#parts.log.error({ error: messageOf(error) }, 'a catalog listener failed; the change holds');
    }
  }

  #conflict(cause: CatalogError): RejectedError {
    const detail = `devices.json was edited and cannot be used until it is mended: ${cause.problem}`;
    return new RejectedError('conflict', detail, { cause });
  }

  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(step);
    this.#turn = turn.catch(() => {});
    return turn;
  }
}

/** What we could not read again must not reach the disk: it would keep the next start from happening. */
function refuseUnreadable(registration: Registration): void {
  const [first, ...rest] = registrationFaults(registration);
  if (!first) return;
  const detail = `the registration of "${registration.id}" cannot be kept: ${first.pointer} ${first.detail}`;
  throw new RejectedError('validation_failed', detail, { pointer: first.pointer, errors: [first, ...rest] });
}

function nowOf(clock: Clock): string {
  return new Date(clock.now()).toISOString();
}

function frozen(registration: Registration): Registration {
  Object.freeze(registration.tags);
  return Object.freeze(registration);
}

/** null when there never was a file. Throws `CatalogError` for one that cannot be used. */
async function readFileOf(path: string, now: string): Promise<Map<string, Registration> | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (!isMissing(error)) throw error;
    if ((await stampOf(lastGoodOf(path))) !== missing) throw await goneError(path);
    return null;
  }
  try {
    return readRegistrationsText(text, now);
  } catch (error) {
    if (!(error instanceof FileFaults)) throw error;
    const lastGood = (await stampOf(lastGoodOf(path))) === missing ? null : lastGoodOf(path);
    throw new CatalogError({ file: path, problem: error.message, faults: error.faults, lastGood, cause: error });
  }
}

async function goneError(path: string): Promise<CatalogError> {
  const lastGood = (await stampOf(lastGoodOf(path))) === missing ? null : lastGoodOf(path);
  const problem = 'it is gone. Copy the last good copy back, or remove that too to begin empty';
  return new CatalogError({ file: path, problem, faults: [], lastGood });
}

function lastGoodOf(path: string): string {
  return `${path}.last-good`;
}

/** Writes piece by piece, the event loop having its turn in between; returns the stamp that the file will have. */
async function writeSynced(path: string, registrations: Iterable<Registration>): Promise<string> {
  const file = await open(path, 'w', 0o644);
  try {
    for (const piece of writeRegistrationsText(registrations)) await file.writeFile(piece);
    await file.sync();
  } finally {
    await file.close();
  }
  return stampOf(path);
}

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, Timer } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type { Webhook } from '../domain/webhook.ts';
import { newWebhookSecret } from '../domain/webhook-secret.ts';
import { type CatalogContents, emptyCatalog, readCatalogText, writeCatalogText } from './catalog-text.ts';
import { EditedMeanwhileError } from './durable-file.ts';
import { KeptFile } from './kept-file.ts';
import { RegistrationBook } from './registration-book.ts';
import { emptySecrets, readSecretsText, type SecretsContents, writeSecretsText } from './secrets-text.ts';
import { type CatalogSnapshot, frozen, nextSnapshot } from './snapshot.ts';

/** What changed, beside what comparing two snapshots shows. */
export interface CatalogChange {
  /** Devices whose registration was made, changed or taken away. */
  readonly registrations: readonly string[];
  /** Whether API keys or provisioning keys changed. */
  readonly keys: boolean;
}

/** Called after a change is durable, before the call that made it resolves. */
export type CatalogListener = (snapshot: CatalogSnapshot, previous: CatalogSnapshot, change: CatalogChange) => void;

export interface CatalogParts {
  /** The data folder; made when it is not there. */
  readonly dir: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

const noChange: CatalogChange = { registrations: [], keys: false };

/** How often the files are looked at for edits from outside, ms. */
const lookEveryMs = 1_000;
/** How often a change is made anew because an edit came in between. */
const turnsMax = 10;

/**
 * The files of the catalog and what they say, for those who change it. Changes take turns; each is first made on what the
 * file says at that moment, written durably, and only then seen and told. An edit from outside is noticed within a second,
 * checked and taken over like a change of ours.
 */
export class CatalogStore {
  readonly #parts: CatalogParts;
  readonly #catalog: KeptFile<CatalogContents>;
  readonly #secrets: KeptFile<SecretsContents>;
  readonly #devices: RegistrationBook;
  readonly #listeners = new Set<CatalogListener>();
  #snapshot: CatalogSnapshot;
  #turn: Promise<unknown> = Promise.resolve();
  #timer: Timer | null = null;
  #lookFault = '';
  #closed = false;

  private constructor(
    parts: CatalogParts,
    files: {
      readonly catalog: KeptFile<CatalogContents>;
      readonly secrets: KeptFile<SecretsContents>;
      readonly devices: RegistrationBook;
    },
  ) {
    this.#parts = parts;
    this.#catalog = files.catalog;
    this.#secrets = files.secrets;
    this.#devices = files.devices;
    this.#snapshot = frozen(files.catalog.value, files.devices.registrations);
  }

  /** Opens the files, making what is missing. Throws `CatalogError`, whose message says what to mend, and touches nothing. */
  static async open(parts: CatalogParts): Promise<CatalogStore> {
    await mkdir(parts.dir, { recursive: true, mode: 0o700 });
    const now = (): string => new Date(parts.clock.now()).toISOString();
    const catalog = await KeptFile.open<CatalogContents>(
      join(parts.dir, 'catalog.json'),
      { mode: 0o644, read: (text) => readCatalogText(text, now()), write: writeCatalogText },
      emptyCatalog,
      parts.log,
    );
    const secrets = await KeptFile.open<SecretsContents>(
      join(parts.dir, 'secrets.json'),
      { mode: 0o600, read: readSecretsText, write: writeSecretsText },
      emptySecrets,
      parts.log,
    );
    const { dir, clock, log } = parts;
    const changed = (registrations: readonly string[]): void => opened.#tell({ ...noChange, registrations });
    const devices = await RegistrationBook.open({ dir, clock, log, changed });
    const opened = new CatalogStore(parts, { catalog, secrets, devices });
    await opened.#makeMissingSecrets(catalog.value.webhooks);
    opened.#noteDanglingSecrets();
    opened.#lookLater();
    return opened;
  }

  snapshot(): CatalogSnapshot {
    return this.#snapshot;
  }

  /** What `secrets.json` says. */
  get secretsContents(): SecretsContents {
    return this.#secrets.value;
  }

  get devices(): RegistrationBook {
    return this.#devices;
  }

  /** The secrets that a webhook's deliveries are signed with, newest first; empty for one that is gone. */
  secrets(webhookId: string): readonly string[] {
    const { webhooks } = this.#secrets.value;
    return Object.hasOwn(webhooks, webhookId) ? webhooks[webhookId] : [];
  }

  /** Returns how to stop listening. */
  subscribe(listener: CatalogListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Looks for edits from outside at once instead of within a second; resolves when they are taken over or refused. */
  async refresh(): Promise<void> {
    await this.#inTurn(() => this.#takeOver());
    await this.#devices.refresh();
  }

  /** Looks no more; waits for changes under way. May be called twice. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#turn;
    await this.#devices.close();
  }

  /** Resolves once the change is durable and told. Rejects with what `make` threw, or as `KeptFile.write` does. */
  change(make: (contents: CatalogContents) => CatalogContents): Promise<void> {
    return this.#inTurn(async () => {
      await this.#rewrite(this.#catalog, make);
      this.#publish();
    });
  }

  /** As `change`, of the keys. */
  changeKeys(make: (secrets: SecretsContents) => SecretsContents): Promise<void> {
    return this.#inTurn(async () => {
      await this.#rewrite(this.#secrets, make);
      this.#tell({ ...noChange, keys: true });
    });
  }

  /** As `change`, of what nobody is told about. */
  changeSecrets(make: (secrets: SecretsContents) => SecretsContents): Promise<void> {
    return this.#inTurn(() => this.#rewrite(this.#secrets, make));
  }

  /** Makes the change on what the file says now, and anew when an edit comes in between. */
  async #rewrite<T extends object>(file: KeptFile<T>, make: (value: T) => T): Promise<void> {
    for (let turn = 1; ; turn++) {
      await this.#takeOver();
      try {
        await file.write(make(file.value));
        return;
      } catch (error) {
        if (!(error instanceof EditedMeanwhileError) || turn === turnsMax) throw error;
      }
    }
  }

  async #takeOver(): Promise<void> {
    if (await this.#secrets.refresh()) this.#tell({ ...noChange, keys: true });
    if (!(await this.#catalog.refresh())) return;
    await this.#makeMissingSecrets(this.#catalog.value.webhooks);
    if (this.#publish()) this.#parts.log.info({ file: 'catalog.json' }, 'an edit from outside was taken over');
  }

  /** A webhook that was written by hand gets its secret here. */
  async #makeMissingSecrets(webhooks: readonly Webhook[]): Promise<void> {
    const missing = webhooks.filter(({ id }) => this.secrets(id).length === 0).map(({ id }) => id);
    if (missing.length === 0) return;
    try {
      let secrets = this.#secrets.value;
      for (const id of missing) secrets = withSecret(secrets, id, newWebhookSecret(this.#parts.random));
      await this.#secrets.write(secrets);
      this.#parts.log.info({ webhooks: missing }, 'webhooks without a secret were given one; it is in secrets.json');
    } catch (error) {
      this.#parts.log.error({ webhooks: missing, error: messageOf(error) }, 'webhooks have no secret to sign with');
    }
  }

  /** Kept, since an older catalog may come back from version control; said, since a webhook may be missing. */
  #noteDanglingSecrets(): void {
    const known = new Set(this.#snapshot.webhooks.map(({ id }) => id));
    const dangling = Object.keys(this.#secrets.value.webhooks).filter((id) => !known.has(id));
    if (dangling.length > 0) this.#parts.log.info({ webhooks: dangling }, 'secrets.json has secrets of no webhook');
  }

  /** Tells the listeners what changed; false when nothing did. */
  #publish(): boolean {
    const previous = this.#snapshot;
    this.#snapshot = nextSnapshot(previous, this.#catalog.value);
    if (this.#snapshot === previous) return false;
    this.#tell(noChange, previous);
    return true;
  }

  #tell(change: CatalogChange, previous = this.#snapshot): void {
    for (const listener of this.#listeners) {
      try {
        listener(this.#snapshot, previous, change);
      } catch (error) {
        this.#parts.log.error({ error: messageOf(error) }, 'a catalog listener failed; the change holds');
      }
    }
  }

  #lookLater(): void {
    if (this.#closed) return;
    this.#timer = this.#parts.clock.after(lookEveryMs, () => {
      void this.#inTurn(() => this.#look()).finally(() => this.#lookLater());
    });
  }

  async #look(): Promise<void> {
    try {
      if ((await this.#catalog.isTouched()) || (await this.#secrets.isTouched())) await this.#takeOver();
      if (await this.#devices.isTouched()) await this.#devices.refresh();
      this.#lookFault = '';
    } catch (error) {
      const fault = messageOf(error);
      // Said once, not every second that it lasts.
      if (fault !== this.#lookFault) this.#parts.log.warn({ error: fault }, 'the catalog could not be looked at');
      this.#lookFault = fault;
    }
  }

  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(step);
    this.#turn = turn.catch(() => {});
    return turn;
  }
}

export function withSecret(secrets: SecretsContents, webhookId: string, secret: string): SecretsContents {
  return { ...secrets, webhooks: { ...secrets.webhooks, [webhookId]: [secret] } };
}

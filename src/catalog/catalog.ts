import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, Timer } from '../base/clock.ts';
import { messageOf, RejectedError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import { randomId } from '../base/random.ts';
import type { RuleDraft, RulePatch } from '../contract/rule.ts';
import type { WebhookDraft, WebhookPatch } from '../contract/webhook.ts';
import type { KeyRecord } from '../domain/key.ts';
import type { Rule } from '../domain/rule.ts';
import type { Webhook } from '../domain/webhook.ts';
import { newWebhookSecret } from '../domain/webhook-secret.ts';
import type { CatalogContents } from './catalog-text.ts';
import { emptyCatalog, readCatalogText, writeCatalogText } from './catalog-text.ts';
import { newRule, newWebhook, patchedRule, patchedWebhook } from './decision.ts';
import { EditedMeanwhileError } from './durable-file.ts';
import { KeptFile } from './kept-file.ts';
import type { SecretsContents } from './secrets-text.ts';
import { emptySecrets, readSecretsText, writeSecretsText } from './secrets-text.ts';
import type { CatalogSnapshot } from './snapshot.ts';
import { frozen, nextSnapshot } from './snapshot.ts';

export type { CatalogSnapshot } from './snapshot.ts';

/** Called after a change is durable, before the call that made it resolves. */
export type CatalogListener = (snapshot: CatalogSnapshot, previous: CatalogSnapshot) => void;

export interface CatalogParts {
  /** The data folder; made when it is not there. */
  readonly dir: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** How often the files are looked at for edits from outside, ms. */
const lookEveryMs = 1_000;
/** How often a change is made anew because an edit came in between. */
const turnsMax = 10;

/**
 * People's decisions in `catalog.json`, secrets in `secrets.json` (0600). Changes take turns; each is first made on what
 * the file says at that moment, written durably, and only then seen and told. An edit from outside is noticed within a
 * second, checked and taken over like a change of ours.
 */
export class Catalog {
  readonly #parts: CatalogParts;
  readonly #catalog: KeptFile<CatalogContents>;
  readonly #secrets: KeptFile<SecretsContents>;
  readonly #listeners = new Set<CatalogListener>();
  #snapshot: CatalogSnapshot;
  #turn: Promise<unknown> = Promise.resolve();
  #timer: Timer | null = null;
  #lookFault = '';
  #closed = false;

  private constructor(parts: CatalogParts, catalog: KeptFile<CatalogContents>, secrets: KeptFile<SecretsContents>) {
    this.#parts = parts;
    this.#catalog = catalog;
    this.#secrets = secrets;
    this.#snapshot = frozen(catalog.value);
  }

  /** Opens both files, making what is missing. Throws `CatalogError`, whose message says what to mend, and touches nothing. */
  static async open(parts: CatalogParts): Promise<Catalog> {
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
    const opened = new Catalog(parts, catalog, secrets);
    await opened.#makeMissingSecrets(catalog.value.webhooks);
    opened.#noteDanglingSecrets();
    opened.#lookLater();
    return opened;
  }

  snapshot(): CatalogSnapshot {
    return this.#snapshot;
  }

  /** The secrets that a webhook's deliveries are signed with, newest first; empty for one that is gone. */
  secrets(webhookId: string): readonly string[] {
    const { webhooks } = this.#secrets.value;
    return Object.hasOwn(webhooks, webhookId) ? webhooks[webhookId] : [];
  }

  keys(): readonly KeyRecord[] {
    return this.#secrets.value.keys;
  }

  /** Returns how to stop listening. */
  subscribe(listener: CatalogListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Throws `RejectedError`: `validation_failed` with every fault, or `conflict` while a faulty edit waits to be mended. */
  async createRule(draft: RuleDraft): Promise<Rule> {
    const rule = newRule(randomId('rule', this.#parts.random), draft, this.#now());
    await this.#change((contents) => ({ ...contents, rules: [...contents.rules, rule] }));
    return this.#found('rule', this.#snapshot.rules, rule.id);
  }

  /** Replaces the fields given; `not_found` when there is no such rule. */
  async updateRule(id: string, patch: RulePatch): Promise<Rule> {
    await this.#change((contents) => {
      const rule = patchedRule(this.#found('rule', contents.rules, id), patch, this.#now());
      return { ...contents, rules: contents.rules.map((other) => (other.id === id ? rule : other)) };
    });
    return this.#found('rule', this.#snapshot.rules, id);
  }

  async deleteRule(id: string): Promise<void> {
    await this.#change((contents) => {
      this.#found('rule', contents.rules, id);
      return { ...contents, rules: contents.rules.filter((rule) => rule.id !== id) };
    });
  }

  /** Makes a webhook with a secret of its own, which is answered here and never shown again. */
  async createWebhook(draft: WebhookDraft): Promise<{ readonly webhook: Webhook; readonly secret: string }> {
    const webhook = newWebhook(randomId('wh', this.#parts.random), draft, this.#now());
    const secret = newWebhookSecret(this.#parts.random);
    // The secret first: a webhook must never be there without one. A kill in between leaves a secret of nobody.
    await this.#changeSecrets((secrets) => withSecret(secrets, webhook.id, secret));
    await this.#change((contents) => ({ ...contents, webhooks: [...contents.webhooks, webhook] }));
    return { webhook: this.#found('webhook', this.#snapshot.webhooks, webhook.id), secret };
  }

  async updateWebhook(id: string, patch: WebhookPatch): Promise<Webhook> {
    await this.#change((contents) => {
      const webhook = patchedWebhook(this.#found('webhook', contents.webhooks, id), patch, this.#now());
      return { ...contents, webhooks: contents.webhooks.map((other) => (other.id === id ? webhook : other)) };
    });
    return this.#found('webhook', this.#snapshot.webhooks, id);
  }

  async deleteWebhook(id: string): Promise<void> {
    await this.#change((contents) => {
      this.#found('webhook', contents.webhooks, id);
      return { ...contents, webhooks: contents.webhooks.filter((webhook) => webhook.id !== id) };
    });
    await this.#changeSecrets((secrets) => {
      const { [id]: _forgotten, ...webhooks } = secrets.webhooks;
      return { ...secrets, webhooks };
    });
  }

  /** Keeps the record of a key made elsewhere; `conflict` when its id is taken. */
  async addKey(record: KeyRecord): Promise<void> {
    await this.#changeSecrets((secrets) => {
      if (secrets.keys.some((key) => key.id === record.id)) {
        throw new RejectedError('conflict', `there is a key with the id "${record.id}" already`);
      }
      return { ...secrets, keys: [...secrets.keys, record] };
    });
  }

  async removeKey(id: string): Promise<void> {
    await this.#changeSecrets((secrets) => {
      this.#found('key', secrets.keys, id);
      return { ...secrets, keys: secrets.keys.filter((key) => key.id !== id) };
    });
  }

  /** Looks for edits from outside at once instead of within a second; resolves when they are taken over or refused. */
  refresh(): Promise<void> {
    return this.#inTurn(() => this.#takeOver());
  }

  /** Looks no more; waits for changes under way. May be called twice. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#turn;
  }

  #change(make: (contents: CatalogContents) => CatalogContents): Promise<void> {
    return this.#inTurn(async () => {
      await this.#rewrite(this.#catalog, make);
      this.#publish();
    });
  }

  #changeSecrets(make: (secrets: SecretsContents) => SecretsContents): Promise<void> {
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
    await this.#secrets.refresh();
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
    const next = nextSnapshot(previous, this.#catalog.value);
    if (next === previous) return false;
    this.#snapshot = next;
    for (const listener of this.#listeners) {
      try {
        listener(next, previous);
      } catch (error) {
        this.#parts.log.error({ error: messageOf(error) }, 'a catalog listener failed; the change holds');
      }
    }
    return true;
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

  #found<T extends { readonly id: string }>(kind: string, entries: readonly T[], id: string): T {
    const entry = entries.find((candidate) => candidate.id === id);
    if (!entry) throw new RejectedError('not_found', `there is no ${kind} "${id}"`);
    return entry;
  }

  #now(): string {
    return new Date(this.#parts.clock.now()).toISOString();
  }
}

function withSecret(secrets: SecretsContents, webhookId: string, secret: string): SecretsContents {
  return { ...secrets, webhooks: { ...secrets.webhooks, [webhookId]: [secret] } };
}

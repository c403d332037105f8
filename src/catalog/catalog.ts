import { InvariantError, RejectedError } from '../base/errors.ts';
import { randomId } from '../base/random.ts';
import type { RegistrationDraft, RegistrationPatch } from '../contract/device.ts';
import type { MappingPatch } from '../contract/mapping.ts';
import type { ProfileBody, ProfileDraft, ProfilePatch } from '../contract/profile.ts';
import type { RuleDraft, RulePatch } from '../contract/rule.ts';
import type { WebhookDraft, WebhookPatch } from '../contract/webhook.ts';
import type { KeyRecord } from '../domain/key.ts';
import type { Mapping } from '../domain/mapping.ts';
import type { Profile } from '../domain/profile.ts';
import type { ProvisioningKey, Registration } from '../domain/registration.ts';
import type { RetentionRule } from '../domain/retention.ts';
import type { Rule } from '../domain/rule.ts';
import type { Webhook } from '../domain/webhook.ts';
import { newWebhookSecret } from '../domain/webhook-secret.ts';
import { type CatalogListener, type CatalogParts, CatalogStore, withSecret } from './catalog-store.ts';
import {
  newMapping,
  newProfile,
  newRetention,
  newRule,
  newWebhook,
  patchedMapping,
  patchedProfile,
  patchedRule,
  patchedWebhook,
} from './decision.ts';
import { type ApprovalDecision, created, decided, patched } from './registration-decision.ts';
import type { CatalogSnapshot } from './snapshot.ts';

export type { CatalogChange, CatalogListener, CatalogParts } from './catalog-store.ts';
export type { CatalogSnapshot } from './snapshot.ts';

/**
 * People's decisions in `catalog.json`, registrations of devices in `devices.json` with its journal (see
 * `registration-book.ts`), secrets in `secrets.json` (0600). How they are kept is `catalog-store.ts`; here is what can be
 * decided. A change resolves once it is durable, seen and told.
 */
export class Catalog {
  readonly #parts: CatalogParts;
  readonly #store: CatalogStore;

  private constructor(parts: CatalogParts, store: CatalogStore) {
    this.#parts = parts;
    this.#store = store;
  }

  /** Opens the files, making what is missing. Throws `CatalogError`, whose message says what to mend, and touches nothing. */
  static async open(parts: CatalogParts): Promise<Catalog> {
    return new Catalog(parts, await CatalogStore.open(parts));
  }

  snapshot(): CatalogSnapshot {
    return this.#store.snapshot();
  }

  /** The secrets that a webhook's deliveries are signed with, newest first; empty for one that is gone. */
  secrets(webhookId: string): readonly string[] {
    return this.#store.secrets(webhookId);
  }

  /** Returns how to stop listening. */
  subscribe(listener: CatalogListener): () => void {
    return this.#store.subscribe(listener);
  }

  /** Looks for edits from outside at once instead of within a second; resolves when they are taken over or refused. */
  refresh(): Promise<void> {
    return this.#store.refresh();
  }

  /** Looks no more; waits for changes under way. May be called twice. */
  close(): Promise<void> {
    return this.#store.close();
  }

  keys(): readonly KeyRecord[] {
    return this.#store.secretsContents.keys;
  }

  provisioningKeys(): readonly ProvisioningKey[] {
    return this.#store.secretsContents.provisioningKeys;
  }

  /** Throws `RejectedError`: `validation_failed` with every fault, or `conflict` while a faulty edit waits to be mended. */
  async createRule(draft: RuleDraft): Promise<Rule> {
    const rule = newRule(randomId('rule', this.#parts.random), draft, this.#now());
    await this.#store.change((contents) => ({ ...contents, rules: [...contents.rules, rule] }));
    return this.#found('rule', this.snapshot().rules, rule.id);
  }

  /** Replaces the fields given; `not_found` when there is no such rule. */
  async updateRule(id: string, patch: RulePatch): Promise<Rule> {
    await this.#store.change((contents) => {
      const rule = patchedRule(this.#found('rule', contents.rules, id), patch, this.#now());
      return { ...contents, rules: contents.rules.map((other) => (other.id === id ? rule : other)) };
    });
    return this.#found('rule', this.snapshot().rules, id);
  }

  async deleteRule(id: string): Promise<void> {
    await this.#store.change((contents) => {
      this.#found('rule', contents.rules, id);
      return { ...contents, rules: contents.rules.filter((rule) => rule.id !== id) };
    });
  }

  /** Makes a webhook with a secret of its own, which is answered here and never shown again. */
  async createWebhook(draft: WebhookDraft): Promise<{ readonly webhook: Webhook; readonly secret: string }> {
    const webhook = newWebhook(randomId('wh', this.#parts.random), draft, this.#now());
    const secret = newWebhookSecret(this.#parts.random);
    // The secret first: a webhook must never be there without one. A kill in between leaves a secret of nobody.
    await this.#store.changeSecrets((secrets) => withSecret(secrets, webhook.id, secret));
    await this.#store.change((contents) => ({ ...contents, webhooks: [...contents.webhooks, webhook] }));
    return { webhook: this.#found('webhook', this.snapshot().webhooks, webhook.id), secret };
  }

  async updateWebhook(id: string, patch: WebhookPatch): Promise<Webhook> {
    await this.#store.change((contents) => {
      const webhook = patchedWebhook(this.#found('webhook', contents.webhooks, id), patch, this.#now());
      return { ...contents, webhooks: contents.webhooks.map((other) => (other.id === id ? webhook : other)) };
    });
    return this.#found('webhook', this.snapshot().webhooks, id);
  }

  async deleteWebhook(id: string): Promise<void> {
    await this.#store.change((contents) => {
      this.#found('webhook', contents.webhooks, id);
      return { ...contents, webhooks: contents.webhooks.filter((webhook) => webhook.id !== id) };
    });
    await this.#store.changeSecrets((secrets) => {
      const { [id]: _forgotten, ...webhooks } = secrets.webhooks;
      return { ...secrets, webhooks };
    });
  }

  /** `conflict` when there is a profile of that name. */
  async createProfile(draft: ProfileDraft): Promise<Profile> {
    const now = this.#now();
    await this.#store.change((contents) => {
      refuseTaken('profile', contents.profiles, draft.id);
      return { ...contents, profiles: [...contents.profiles, newProfile(draft, now, now)] };
    });
    return this.#found('profile', this.snapshot().profiles, draft.id);
  }

  /** Makes the profile, or replaces all of it. */
  async putProfile(id: string, body: ProfileBody): Promise<Profile> {
    await this.#store.change((contents) => {
      const now = this.#now();
      const before = contents.profiles.find((profile) => profile.id === id);
      const profile = newProfile({ id, ...body }, before?.createdAt ?? now, now);
      return { ...contents, profiles: put(contents.profiles, profile, (other) => other.id === id) };
    });
    return this.#found('profile', this.snapshot().profiles, id);
  }

  async updateProfile(id: string, patch: ProfilePatch): Promise<Profile> {
    await this.#store.change((contents) => {
      const profile = patchedProfile(this.#found('profile', contents.profiles, id), patch, this.#now());
      return { ...contents, profiles: put(contents.profiles, profile, (other) => other.id === id) };
    });
    return this.#found('profile', this.snapshot().profiles, id);
  }

  /** `conflict` while devices or provisioning keys have it. */
  async deleteProfile(id: string): Promise<void> {
    await this.#store.change((contents) => {
      this.#found('profile', contents.profiles, id);
      const devices = [...this.#store.devices.registrations.values()].filter(({ profile }) => profile === id).length;
      const keys = this.provisioningKeys().filter(({ profile }) => profile === id).length;
      if (devices + keys > 0) {
        const users = `${devices} registered devices and ${keys} provisioning keys`;
        throw new RejectedError('conflict', `the profile "${id}" is in use by ${users}; give them another one first`);
      }
      return { ...contents, profiles: contents.profiles.filter((profile) => profile.id !== id) };
    });
  }

  /** Comes after those there are; `conflict` when there is a mapping of that name. */
  async createMapping(spec: Mapping): Promise<Mapping> {
    await this.#store.change((contents) => {
      refuseTaken(
        'mapping',
        contents.mappings.map(({ name }) => ({ id: name })),
        spec.name,
      );
      return { ...contents, mappings: [...contents.mappings, newMapping(spec)] };
    });
    return this.#mapping(this.snapshot().mappings, spec.name);
  }

  /** Makes the mapping, or replaces all of it in its place. */
  async putMapping(spec: Mapping): Promise<Mapping> {
    await this.#store.change((contents) => {
      const mappings = put(contents.mappings, newMapping(spec), ({ name }) => name === spec.name);
      return { ...contents, mappings };
    });
    return this.#mapping(this.snapshot().mappings, spec.name);
  }

  async updateMapping(name: string, patch: MappingPatch): Promise<Mapping> {
    await this.#store.change((contents) => {
      const mapping = patchedMapping(this.#mapping(contents.mappings, name), patch);
      return { ...contents, mappings: put(contents.mappings, mapping, (other) => other.name === name) };
    });
    return this.#mapping(this.snapshot().mappings, name);
  }

  async deleteMapping(name: string): Promise<void> {
    await this.#store.change((contents) => {
      this.#mapping(contents.mappings, name);
      return { ...contents, mappings: contents.mappings.filter((mapping) => mapping.name !== name) };
    });
  }

  /** Replaces the list of retention rules; of several that match a series the first holds. */
  async putRetention(rules: readonly RetentionRule[]): Promise<readonly RetentionRule[]> {
    const retention = newRetention(rules);
    await this.#store.change((contents) => ({ ...contents, retention }));
    return this.snapshot().retention;
  }

  /**
   * Registers all of these devices or none, with one write to the disk. Throws `RejectedError`: `device_exists` or
   * `validation_failed` with every fault, `conflict` while a faulty edit waits to be mended.
   */
  async createRegistrations(drafts: readonly RegistrationDraft[]): Promise<readonly Registration[]> {
    const made: Registration[] = [];
    await this.#store.devices.change((find) => {
      const changes = created(drafts, { find, profiles: this.snapshot().profiles, now: this.#now() });
      made.push(...changes.flatMap(({ registration }) => registration ?? []));
      return changes;
    });
    return made;
  }

  /** In order of their ids, those behind `device`; null for all. */
  registrationsAfter(device: string | null): Iterable<Registration> {
    return this.#store.devices.after(device);
  }

  /** Replaces the fields given. Who is not registered is by this, from `unregistered`; without that it is `not_found`. */
  async updateRegistration(
    id: string,
    patch: RegistrationPatch,
    unregistered?: RegistrationDraft,
  ): Promise<Registration> {
    let made: Registration | undefined;
    await this.#store.devices.change((find) => {
      const times = { createdAt: this.#now(), updatedAt: this.#now() };
      const before = find(id) ?? (unregistered && { ...unregistered, id, ...times });
      if (!before) throw new RejectedError('not_found', `the device "${id}" is not registered`);
      made = patched(before, patch, { profiles: this.snapshot().profiles, now: this.#now() });
      return [{ id, registration: made }];
    });
    if (!made) throw new InvariantError('a decision was durable before it was made');
    return made;
  }

  /** Approves or blocks devices, registered or not, with one write to the disk. */
  decideApprovals(decisions: readonly ApprovalDecision[]): Promise<void> {
    return this.#store.devices.change((find) => decided(decisions, { find, now: this.#now() }));
  }

  /** Fine for a device that is not registered. */
  deleteRegistration(id: string): Promise<void> {
    return this.#store.devices.change((find) => (find(id) ? [{ id, registration: null }] : []));
  }

  /** Keeps the record of a key made elsewhere; `conflict` when its id is taken. */
  async addKey(record: KeyRecord): Promise<void> {
    await this.#store.changeKeys((secrets) => {
      refuseTaken('key', secrets.keys, record.id);
      return { ...secrets, keys: [...secrets.keys, record] };
    });
  }

  /** Replaces the fields given; the key itself stays. */
  async updateKey(id: string, patch: Partial<Omit<KeyRecord, 'id' | 'hash' | 'createdAt'>>): Promise<void> {
    await this.#store.changeKeys((secrets) => {
      const key = { ...this.#found('key', secrets.keys, id), ...given(patch) };
      return { ...secrets, keys: put(secrets.keys, key, (other) => other.id === id) };
    });
  }

  async removeKey(id: string): Promise<void> {
    await this.#store.changeKeys((secrets) => {
      this.#found('key', secrets.keys, id);
      return { ...secrets, keys: secrets.keys.filter((key) => key.id !== id) };
    });
  }

  /** Keeps the record of a provisioning key made elsewhere; `conflict` when its id is taken, `not_found` without its profile. */
  async addProvisioningKey(record: ProvisioningKey): Promise<void> {
    await this.#store.changeKeys((secrets) => {
      refuseTaken('provisioning key', secrets.provisioningKeys, record.id);
      this.#found('profile', this.snapshot().profiles, record.profile);
      return { ...secrets, provisioningKeys: [...secrets.provisioningKeys, record] };
    });
  }

  async updateProvisioningKey(
    id: string,
    patch: Partial<Pick<ProvisioningKey, 'name' | 'profile' | 'approval' | 'devicesMax' | 'expiresAt'>>,
  ): Promise<ProvisioningKey> {
    await this.#store.changeKeys((secrets) => {
      const key = { ...this.#found('provisioning key', secrets.provisioningKeys, id), ...given(patch) };
      this.#found('profile', this.snapshot().profiles, key.profile);
      return { ...secrets, provisioningKeys: put(secrets.provisioningKeys, key, (other) => other.id === id) };
    });
    return this.#found('provisioning key', this.provisioningKeys(), id);
  }

  async removeProvisioningKey(id: string): Promise<void> {
    await this.#store.changeKeys((secrets) => {
      this.#found('provisioning key', secrets.provisioningKeys, id);
      return { ...secrets, provisioningKeys: secrets.provisioningKeys.filter((key) => key.id !== id) };
    });
  }

  #found<T extends { readonly id: string }>(kind: string, entries: readonly T[], id: string): T {
    const entry = entries.find((candidate) => candidate.id === id);
    if (!entry) throw new RejectedError('not_found', `there is no ${kind} "${id}"`);
    return entry;
  }

  #mapping(mappings: readonly Mapping[], name: string): Mapping {
    const mapping = mappings.find((candidate) => candidate.name === name);
    if (!mapping) throw new RejectedError('not_found', `there is no mapping "${name}"`);
    return mapping;
  }

  #now(): string {
    return new Date(this.#parts.clock.now()).toISOString();
  }
}

function refuseTaken(kind: string, entries: readonly { readonly id: string }[], id: string): void {
  if (!entries.some((entry) => entry.id === id)) return;
  throw new RejectedError('conflict', `there is a ${kind} "${id}" already`);
}

/** The list with `entry` in the place of the one it replaces, or at the end. */
function put<T>(entries: readonly T[], entry: T, replaces: (other: T) => boolean): readonly T[] {
  return entries.some(replaces) ? entries.map((other) => (replaces(other) ? entry : other)) : [...entries, entry];
}

/** A patch without the fields that were left out. */
function given<T extends object>(patch: T): { [K in keyof T]?: Exclude<T[K], undefined> };
function given(patch: object): object {
  return Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined));
}

import { nearest } from '../base/nearest.ts';
import type { Fault } from '../base/errors.ts';
import { RejectedError } from '../base/errors.ts';
import type { RegistrationDraft, RegistrationPatch } from '../contract/device.ts';
import type { Profile } from '../domain/profile.ts';
import type { Registration } from '../domain/registration.ts';
import type { FindRegistration } from './registration-book.ts';
import type { RegistrationChange } from './registrations-text.ts';

/** What a person decided about a device that may not be registered yet. */
export interface ApprovalDecision {
  readonly id: string;
  readonly approval: Registration['approval'];
  /** The profile that an unregistered device gets: the one it was provisioned with. */
  readonly profile: string | null;
}

/**
 * Registers all of them or, with every fault, none: `device_exists` where each fault is a device that is registered
 * already (or twice in the request), else `validation_failed`.
 */
export function created(
  drafts: readonly RegistrationDraft[],
  known: { readonly find: FindRegistration; readonly profiles: readonly Profile[]; readonly now: string },
): readonly RegistrationChange[] {
  const faults: Fault[] = [];
  const seen = new Set<string>();
  const changes = drafts.map((draft, index): RegistrationChange => {
    const { id, name, profile, tags, timeZone, approval } = draft;
    if (known.find(id) || seen.size === seen.add(id).size) {
      faults.push({
        pointer: `/${index}/id`,
        code: 'device_exists',
        detail: `the device "${id}" is registered already`,
      });
    }
    const fault = profileFault(profile, known.profiles);
    if (fault !== null) faults.push({ pointer: `/${index}/profile`, code: 'validation_failed', detail: fault });
    const times = { createdAt: known.now, updatedAt: known.now };
    return { id, registration: { id, name, profile, tags: { ...tags }, timeZone, approval, ...times } };
  });
  if (faults.length > 0) throw refused(faults, drafts.length === 1);
  return changes;
}

/** Replaces the fields given; `tags` as a whole. */
export function patched(
  registration: Registration,
  patch: RegistrationPatch,
  known: { readonly profiles: readonly Profile[]; readonly now: string },
): Registration {
  const fault = patch.profile === undefined ? null : profileFault(patch.profile, known.profiles);
  if (fault !== null) throw new RejectedError('validation_failed', fault, { pointer: '/profile' });
  return {
    id: registration.id,
    name: patch.name ?? registration.name,
    profile: patch.profile === undefined ? registration.profile : patch.profile,
    tags: { ...(patch.tags ?? registration.tags) },
    timeZone: patch.timeZone === undefined ? registration.timeZone : patch.timeZone,
    approval: patch.approval ?? registration.approval,
    createdAt: registration.createdAt,
    updatedAt: known.now,
  };
}

/** Approves or blocks; who is not registered is registered by it. What is so already does not change. */
export function decided(
  decisions: readonly ApprovalDecision[],
  known: { readonly find: FindRegistration; readonly now: string },
): readonly RegistrationChange[] {
  return decisions.flatMap(({ id, approval, profile }): RegistrationChange[] => {
    const before = known.find(id);
    if (before?.approval === approval) return [];
    const times = { createdAt: before?.createdAt ?? known.now, updatedAt: known.now };
    const blank = { name: '', profile, tags: {}, timeZone: null };
    return [{ id, registration: { id, ...blank, ...before, approval, ...times } }];
  });
}

function profileFault(profile: string | null, profiles: readonly Profile[]): string | null {
  if (profile === null || profiles.some(({ id }) => id === profile)) return null;
  const known = profiles.map(({ id }) => id);
  const near = nearest(profile, known);
  const hint = near === null ? 'POST /api/v1/profiles makes one' : `did you mean "${near}"?`;
  return `there is no profile "${profile}"; ${hint}`;
}

function refused(faults: readonly Fault[], isSingle: boolean): RejectedError {
  const [first] = faults;
  const code = faults.every((fault) => fault.code === 'device_exists') ? 'device_exists' : 'validation_failed';
  // A request for one device has no list around it.
  const errors = isSingle ? faults.map((fault) => ({ ...fault, pointer: fault.pointer.slice('/0'.length) })) : faults;
  const rest = faults.length > 1 ? ` (and ${faults.length - 1} more)` : '';
  return new RejectedError(code, `nothing was registered: ${first.detail}${rest}`, { errors });
}

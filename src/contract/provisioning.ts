import { z } from 'zod';
import { Name } from './profile.ts';
import { listOf, Time } from './rest.ts';

const draftFields = {
  name: z.string().trim().min(1).max(200).meta({ example: 'Line 2, autumn batch' }),
  profile: Name.meta({ description: 'Id of the profile that its devices get' }),
  approval: z
    .boolean()
    .meta({ description: 'Whether a person must approve each device before its readings are taken' }),
  devicesMax: z.int().min(1).max(1_000_000).meta({ description: 'How many devices it may make in all' }),
  expiresAt: z.iso
    .datetime({ offset: true })
    .transform((text) => new Date(text).toISOString())
    .nullable()
    .meta({ description: 'RFC 3339; null for never', override: { type: ['string', 'null'], format: 'date-time' } }),
};

/** `POST /provisioning-keys`. */
export const ProvisioningKeyDraft = z
  .strictObject({
    ...draftFields,
    approval: draftFields.approval.default(true),
    devicesMax: draftFields.devicesMax.default(1_000),
    expiresAt: draftFields.expiresAt.default(null),
  })
  .meta({ id: 'ProvisioningKeyDraft' });
export type ProvisioningKeyDraft = z.output<typeof ProvisioningKeyDraft>;

export const ProvisioningKeyPatch = z.strictObject(draftFields).partial().meta({ id: 'ProvisioningKeyPatch' });
export type ProvisioningKeyPatch = z.output<typeof ProvisioningKeyPatch>;

const shownFields = {
  id: z.string(),
  name: z.string(),
  profile: z.string(),
  approval: z.boolean(),
  devicesMax: z.int(),
  devices: z.int().meta({ description: 'How many devices it has made that still exist' }),
  createdAt: Time,
  expiresAt: Time.nullable(),
};
export const ProvisioningKey = z.object(shownFields).meta({ id: 'ProvisioningKey' });
export type ProvisioningKey = z.infer<typeof ProvisioningKey>;

export const ProvisioningKeyCreated = z
  .object({ ...shownFields, key: z.string().meta({ description: 'Shown this once', example: 'pulseprov_…' }) })
  .meta({ id: 'ProvisioningKeyCreated' });
export type ProvisioningKeyCreated = z.infer<typeof ProvisioningKeyCreated>;

export const ProvisioningKeyList = listOf('ProvisioningKeyList', ProvisioningKey);

/** `POST /provision`: a device asks for a token of its own. */
export const ProvisionRequest = z
  .strictObject({ device: z.string().meta({ description: 'The id that the device wants', example: 'sensor-0042' }) })
  .meta({ id: 'ProvisionRequest' });

export const ProvisionAnswer = z
  .object({
    device: z.string(),
    token: z.string().meta({ description: 'The password of the device from now on; shown this once' }),
    approval: z
      .enum(['approved', 'pending'])
      .meta({ description: '`pending`: readings are refused until a person approved the device' }),
  })
  .meta({ id: 'ProvisionAnswer' });
export type ProvisionAnswer = z.infer<typeof ProvisionAnswer>;

/** What a person decided about a device, kept in the catalog. A device may be known to the engine without one. */
export interface Registration {
  /** The device id. */
  readonly id: string;
  /** For people; "" when it has none. */
  readonly name: string;
  /** Id of a profile, or null. */
  readonly profile: string | null;
  readonly tags: Readonly<Record<string, string>>;
  /** IANA name, "Europe/Berlin" for example; null: that of the reader. */
  readonly timeZone: string | null;
  /** `blocked` devices may not connect, and their messages are refused. `pending` is not written: it is the absence of a decision about a provisioned device. */
  readonly approval: 'approved' | 'blocked';
  /** RFC 3339. */
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** With it devices of a profile that nobody registered ask for a token of their own. Kept with the secrets, as a hash. */
export interface ProvisioningKey {
  readonly id: string;
  readonly name: string;
  /** SHA-256 of the whole key, in hex. */
  readonly hash: string;
  /** Id of the profile that its devices get. */
  readonly profile: string;
  /** Whether a person must approve each device before its readings are taken. */
  readonly approval: boolean;
  /** How many devices it may make in all. */
  readonly devicesMax: number;
  /** RFC 3339. */
  readonly createdAt: string;
  /** RFC 3339; null for never. */
  readonly expiresAt: string | null;
}

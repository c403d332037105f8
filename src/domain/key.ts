/** What is kept of a key: enough to know it again, not to use it. */
export interface KeyRecord {
  /** The eight characters after `pulse_`, which name the key wherever it is shown. */
  readonly id: string;
  /** SHA-256 of the whole key, in hex. A key has 178 random bits, so a slow hash would protect nothing. */
  readonly hash: string;
  readonly name: string;
  /** RFC 3339. */
  readonly createdAt: string;
}

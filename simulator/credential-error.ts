/** A device has no token, and none is to be had; the message says what to do. The run ends before it sends anything. */
export class CredentialError extends Error {
  override readonly name = 'CredentialError';
}

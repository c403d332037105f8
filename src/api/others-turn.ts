/** Resolves when everybody else who waits for the loop had it. */
export function othersTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

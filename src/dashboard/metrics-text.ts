/**
 * Adds up the samples of one counter in Prometheus text exposition format 0.0.4, or null when it is not there.
 * `labels` keeps the samples that carry these label values.
 */
export function sumOf(
  exposition: string,
  name: string,
  labels: Readonly<Record<string, readonly string[]>> = {},
): number | null {
  let sum: number | null = null;
  for (const line of exposition.split('\n')) {
    if (!line.startsWith(name)) continue;
    const rest = line.slice(name.length);
    if (!rest.startsWith('{') && !rest.startsWith(' ')) continue;
    const close = rest.startsWith('{') ? rest.lastIndexOf('}') : 0;
    const found = rest.slice(0, close);
    const isWanted = Object.entries(labels).every(([label, values]) =>
      values.some((value) => found.includes(`${label}="${value}"`)),
    );
    const number = Number(
      rest
        .slice(close === 0 ? 0 : close + 1)
        .trim()
        .split(' ')[0],
    );
    if (isWanted && Number.isFinite(number)) sum = (sum ?? 0) + number;
  }
  return sum;
}

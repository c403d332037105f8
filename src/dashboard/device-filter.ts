/** Longest filter the gateway takes. */
const filterMax = 1_024;

/** Device ids as comma lists of at most the accepted length: as few filters as name them all. */
export function deviceFilters(devices: readonly string[]): string[] {
  const filters: string[] = [];
  let open = '';
  for (const device of devices) {
    if (open !== '' && open.length + 1 + device.length > filterMax) {
      filters.push(open);
      open = '';
    }
    open = open === '' ? device : `${open},${device}`;
  }
  if (open !== '') filters.push(open);
  return filters;
}

import { RejectedError } from '../base/errors.ts';
import { isMetricName } from '../domain/series.ts';
import { escapePointer, isObject, parseJson } from './native.ts';
import { decodeText } from './text.ts';

/** Datatypes of Homie 5; a description that names another is taken for `string`. */
export const homieDatatypes = [
  'integer',
  'float',
  'boolean',
  'string',
  'enum',
  'color',
  'datetime',
  'duration',
  'json',
] as const;
export type HomieDatatype = (typeof homieDatatypes)[number];

export interface HomieProperty {
  readonly node: string;
  readonly id: string;
  readonly datatype: HomieDatatype;
  /** What values there are: names for `enum`, a range `min:max:step` for numbers; "" when it is not said. */
  readonly format: string;
  readonly settable: boolean;
  /** UCUM code; null where the description names no unit, or one without a code. */
  readonly unit: string | null;
}

/** What a device tells about itself on `homie/5/{device}/$description`. */
export interface HomieDescription {
  readonly name: string | null;
  readonly type: string | null;
  /** By metric, `node.property`. */
  readonly properties: ReadonlyMap<string, HomieProperty>;
}

/** The units that the convention recommends, as UCUM. */
const units: ReadonlyMap<string, string> = new Map([
  ['°C', 'Cel'],
  ['°F', '[degF]'],
  ['°', 'deg'],
  ['L', 'L'],
  ['gal', '[gal_us]'],
  ['V', 'V'],
  ['W', 'W'],
  ['kW', 'kW'],
  ['kWh', 'kW.h'],
  ['A', 'A'],
  ['Hz', 'Hz'],
  ['rpm', '{rpm}'],
  ['%', '%'],
  ['m', 'm'],
  ['m³', 'm3'],
  ['ft', '[ft_i]'],
  ['m/s', 'm/s'],
  ['kn', '[kn_i]'],
  ['Pa', 'Pa'],
  ['psi', '[psi]'],
  ['ppm', '[ppm]'],
  ['s', 's'],
  ['min', 'min'],
  ['h', 'h'],
  ['lx', 'lx'],
  ['K', 'K'],
  ['mired', '{mired}'],
  ['#', '1'],
]);

/** Throws `RejectedError` with a pointer into the description. */
export function decodeHomieDescription(payload: Uint8Array): HomieDescription {
  const document = parseJson(decodeText(payload));
  if (!isObject(document)) throw new RejectedError('payload_shape', 'a description is a JSON object');
  const { homie } = document;
  if (typeof homie !== 'string' || !/^5\.\d+$/.test(homie)) {
    throw new RejectedError('payload_invalid', 'the description is not of Homie 5: "homie" must be "5.0"', {
      pointer: '/homie',
    });
  }
  const properties = new Map<string, HomieProperty>();
  for (const [node, described] of members(document, 'nodes', '')) {
    const at = `/nodes/${escapePointer(node)}`;
    for (const [id, property] of members(described, 'properties', at)) {
      const pointer = `${at}/properties/${escapePointer(id)}`;
      const metric = `${node}.${id}`;
      if (!isMetricName(metric)) {
        throw new RejectedError('metric_invalid', 'ids are of a-z 0-9 and -, 128 characters together at most', {
          pointer,
        });
      }
      properties.set(metric, decodeProperty(node, id, property));
    }
  }
  return { name: text(document.name), type: text(document.type), properties };
}

function members(
  of: Readonly<Record<string, unknown>>,
  name: 'nodes' | 'properties',
  at: string,
): readonly (readonly [string, Readonly<Record<string, unknown>>])[] {
  const listed = of[name] ?? {};
  const pointer = `${at}/${name}`;
  if (!isObject(listed)) throw new RejectedError('payload_invalid', `"${name}" is an object by id`, { pointer });
  return Object.entries(listed).map(([id, member]) => {
    if (isObject(member)) return [id, member] as const;
    throw new RejectedError('payload_invalid', `a member of "${name}" is an object`, {
      pointer: `${pointer}/${escapePointer(id)}`,
    });
  });
}

function decodeProperty(node: string, id: string, property: Readonly<Record<string, unknown>>): HomieProperty {
  const { datatype, format, settable, unit } = property;
  return {
    node,
    id,
    datatype: homieDatatypes.find((known) => known === datatype) ?? 'string',
    format: text(format) ?? '',
    settable: settable === true,
    unit: units.get(text(unit) ?? '') ?? null,
  };
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

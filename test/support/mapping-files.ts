import { readdirSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';
import { MappingSpec } from '../../src/contract/mapping.ts';
import { Dialects } from '../../src/decode/dialects.ts';
import type { Mapping } from '../../src/domain/mapping.ts';
import type { CaseDecoder } from './decode-cases.ts';

const folder = new URL('../../config/mappings/', import.meta.url);

const MappingFile = z.strictObject({ ingest: z.strictObject({ mappings: z.array(MappingSpec) }) });

/** The names of the example files. */
export function mappingFiles(): readonly string[] {
  return readdirSync(folder).map((file) => file.replace(/\.yaml$/, ''));
}

/** The mappings of an example file in `config/mappings`. */
export function loadMappings(name: string): readonly Mapping[] {
  return MappingFile.parse(parse(readFileSync(new URL(`${name}.yaml`, folder), 'utf8'))).ingest.mappings;
}

/** Cases of mappings name the example file that they are decoded with. */
export const decodeMapped: CaseDecoder = (message, { file }) => {
  if (file === undefined) throw new Error('a case of a mapping names its file');
  return new Dialects({ mappings: loadMappings(file), dialects: [] }).decode(message);
};

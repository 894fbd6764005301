import { optionsOf } from '../../bundle/options.ts';
import type { JsonSchema } from '../../bundle/schemas.ts';
import { markdownTable } from './markdown.ts';

/** The keys of a plugin's configuration as a table. */
export const optionsTable = (schema: JsonSchema): string =>
  markdownTable(
    ['Key', 'Type', 'Default', 'Meaning'],
    optionsOf(schema).map(({ key, type, fallback, about }) => [`\`${key}\``, type, fallback, about]),
  );

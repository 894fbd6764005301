import { CniError, messageOf } from '../cni/errors.ts';

/**
 * Reads a document of YAML, of which JSON is a part. All scalars but null are texts, as they are written: a name may
 * look like a number. The parser is loaded here and not before.
 *
 * @throws CniError that quotes nothing of the document, which may hold secrets
 */
export async function parseYaml(text: string): Promise<unknown> {
  if (/^\s*\{/.test(text)) {
    try {
      return JSON.parse(text);
    } catch {
      // flow style of YAML begins like this too
    }
  }
  const { FAILSAFE_SCHEMA, load, nullCoreTag } = await import('./yaml-parser.ts');
  try {
    return load(text, { schema: FAILSAFE_SCHEMA.withTags(nullCoreTag) });
  } catch (error) {
    throw await yamlFault(error);
  }
}

/**
 * The same for a file of several documents.
 *
 * @throws CniError as above
 */
export async function parseYamlDocuments(text: string): Promise<readonly unknown[]> {
  if (/^\s*[{[]/.test(text)) {
    return [await parseYaml(text)];
  }
  const { FAILSAFE_SCHEMA, loadAll, nullCoreTag } = await import('./yaml-parser.ts');
  try {
    return loadAll(text, { schema: FAILSAFE_SCHEMA.withTags(nullCoreTag) });
  } catch (error) {
    throw await yamlFault(error);
  }
}

async function yamlFault(error: unknown): Promise<CniError> {
  const { YAMLException } = await import('./yaml-parser.ts');
  const why = error instanceof YAMLException ? error.reason : messageOf(error);
  const line = error instanceof YAMLException ? error.mark?.line : undefined;
  return new CniError('decodeFailure', line === undefined ? why : `line ${line + 1}: ${why}`);
}

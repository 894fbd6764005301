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
  const { FAILSAFE_SCHEMA, load, nullCoreTag, YAMLException } = await import('js-yaml');
  try {
    return load(text, { schema: FAILSAFE_SCHEMA.withTags(nullCoreTag) });
  } catch (error) {
    const line = error instanceof YAMLException ? error.mark?.line : undefined;
    const why = error instanceof YAMLException ? error.reason : messageOf(error);
    throw new CniError('decodeFailure', line === undefined ? why : `line ${line + 1}: ${why}`);
  }
}

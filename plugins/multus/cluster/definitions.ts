import { CniError, messageOf, quoted } from '../../../lib/cni/errors.ts';
import { isObject, type JsonObject, lookUp, parseJson } from '../../../lib/cni/json.ts';
import type { KubeApi } from '../../../lib/kube/api.ts';
import { faultOf } from '../../../lib/kube/faults.ts';
import { type ConfFile, confNamed } from '../conf-files.ts';
import { ANNOTATIONS, NADS, type NadObject } from './objects.ts';

/** What a NetworkAttachmentDefinition says. */
export interface Definition extends ConfFile {
  /** `<namespace>/<name>` */
  readonly name: string;
  /** of devices for its pods; '' when it needs none */
  readonly resourceName: string;
}

/** It cannot be fetched. */
export class DefinitionMissing extends CniError {
  readonly namespace: string;
  readonly definition: string;
  /** the server's words */
  readonly reason: string;

  constructor(namespace: string, definition: string, cause: unknown) {
    const { code } = cause instanceof CniError ? cause : { code: 'internal' as const };
    const reason = messageOf(cause);
    super(code, missing(namespace, definition, reason), { cause });
    this.name = 'DefinitionMissing';
    this.namespace = namespace;
    this.definition = definition;
    this.reason = reason;
  }
}

/** Words that users know. */
const missing = (namespace: string, name: string, why: string): string =>
  `cannot find a network-attachment-definition (${name}) in namespace (${namespace}): ${why}`;

/** @returns undefined for one that must be asked for */
export type KnownDefinition = (namespace: string, name: string) => NadObject | undefined;

/** NetworkAttachmentDefinitions, each asked for once in a call, several at the same time. */
export class Definitions {
  private readonly open: () => Promise<KubeApi>;
  private readonly confDir: string;
  private readonly known: KnownDefinition;
  private readonly asked = new Map<string, Promise<Definition>>();

  /**
   * @param confDir has the configurations of those that are empty
   * @param known need not be asked for
   */
  constructor(open: () => Promise<KubeApi>, confDir: string, known: KnownDefinition = () => undefined) {
    this.open = open;
    this.confDir = confDir;
    this.known = known;
  }

  /** Asks, and lets somebody else wait for the answer. */
  prefetch(namespace: string, name: string): void {
    this.get(namespace, name).catch(() => undefined);
  }

  /** @throws DefinitionMissing; CniError when it cannot be used */
  get(namespace: string, name: string): Promise<Definition> {
    const key = `${namespace}/${name}`;
    const known = this.asked.get(key) ?? this.fetch(namespace, name);
    this.asked.set(key, known);
    return known;
  }

  private async fetch(namespace: string, name: string): Promise<Definition> {
    let object = this.known(namespace, name);
    try {
      object ??= await (await this.open()).get<NadObject>({ resource: NADS, namespace, name });
    } catch (error) {
      throw new DefinitionMissing(namespace, name, faultOf(error));
    }
    const resourceName = object.metadata.annotations?.[ANNOTATIONS.resourceName] ?? '';
    return { ...configOf(object, name, this.confDir), name: `${namespace}/${name}`, resourceName };
  }
}

function configOf({ spec }: NadObject, name: string, confDir: string): ConfFile {
  const config = spec?.config ?? '';
  return config === '' ? confNamed(confDir, name) : namedConfig(config, name);
}

/** A configuration without a name gets that of its object. */
function namedConfig(config: string, name: string): ConfFile {
  let document: unknown;
  try {
    document = parseJson(config);
  } catch (error) {
    throw new CniError('decodeFailure', `failed to unmarshal Spec.Config: ${messageOf(error)}`);
  }
  if (!isObject(document)) {
    throw new CniError('decodeFailure', `failed to unmarshal Spec.Config: ${quoted(document)} is not an object`);
  }
  return (lookUp(document, 'name') ?? '') === ''
    ? { document: { ...withoutName(document), name }, bytes: undefined }
    : { document, bytes: Buffer.from(config) };
}

const withoutName = (document: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(document).filter(([key]) => key.toLowerCase() !== 'name'));

import type { Attachment, Call, DeletionCall, NetworkCall, PodCall } from './call.ts';
import type { Command } from './command.ts';
import { readConf, type Schema } from './config.ts';
import type { Examined, Finding } from './findings.ts';
import { type JsonObject, withPlainIntegers } from './json.ts';
import type { AttachmentRecord } from './records.ts';
import type { Result } from './result.ts';
import type { Scope } from './scope.ts';

/** What is so of every plugin, whatever its configuration is. */
interface Common {
  readonly name: string;
  /** one line for people who start the program by hand; '' when the Go plugin has none */
  readonly about: string;
  del(call: DeletionCall, scope: Scope): Promise<void>;
  /** keys that people write and nobody reads, and what to do instead: `subnet` → `is a key of …: write "range"` */
  readonly misnomers?: Readonly<Record<string, string>>;
  /** commands for people, offered by `braid <plugin's noun> …` */
  readonly commands?: readonly Command[];
  /**
   * What the plugin has recorded of attachments on this node, for people and for `braid gc`. Reads only.
   *
   * @param confs what plugins of this node, also others, are configured with: they say where records are
   */
  records?(scope: Scope, confs: readonly JsonObject[]): Promise<readonly AttachmentRecord[]>;
  /** What makes the plugin fail or run slowly here, for `braid doctor`. Reads only. */
  examine?(scope: Scope, node: Examined): Promise<readonly Finding[]>;
}

/**
 * A plugin as its folder writes it: one function per verb, each with its configuration read.
 *
 * A verb that has nothing to do is written all the same, with a line that says why.
 */
export interface Definition<C> extends Common {
  readonly conf: Schema<C>;
  add(call: PodCall<C>, scope: Scope): Promise<Result>;
  check(call: PodCall<C>, scope: Scope): Promise<void>;
  status(call: NetworkCall<C>, scope: Scope): Promise<void>;
  gc(call: NetworkCall<C>, scope: Scope, valid: readonly Attachment[] | undefined): Promise<void>;
  /**
   * Refuses a configuration that no ADD can use, as ADD does, without asking the kernel. Where the plugin is chained, the
   * document has an empty `prevResult`.
   *
   * @throws CniError
   */
  validate?(call: PodCall<C>): void;
  /**
   * Refuses this very ADD, as ADD does before it touches anything. Called after `validate`, with the same document. Reads
   * only.
   *
   * @throws CniError
   */
  foresee?(call: PodCall<C>, scope: Scope): Promise<void>;
  /**
   * Networks that a configuration leads to by paths, for `braid doctor`.
   *
   * @throws CniError
   */
  networksAt?(conf: C): readonly JsonObject[];
}

/** A plugin as others call it: with documents, which it reads itself. Each verb throws CniError for one it cannot use. */
export interface Plugin extends Common {
  readonly conf: Schema<unknown>;
  add(call: PodCall<JsonObject>, scope: Scope): Promise<Result>;
  check(call: PodCall<JsonObject>, scope: Scope): Promise<void>;
  status(call: NetworkCall<JsonObject>, scope: Scope): Promise<void>;
  gc(call: NetworkCall<JsonObject>, scope: Scope, valid: readonly Attachment[] | undefined): Promise<void>;
  /** For `braid doctor`: refuses what no ADD can use. */
  validate(call: PodCall<JsonObject>): void;
  /** For those who run several plugins, and ask all of them before the first one runs: refuses this very ADD. */
  foresee(call: PodCall<JsonObject>, scope: Scope): Promise<void>;
  /** For `braid doctor`: networks that a configuration leads to by paths. */
  networksAt(document: JsonObject): readonly JsonObject[];
}

export function definePlugin<C>(definition: Definition<C>): Plugin {
  const { conf, validate, foresee, networksAt } = definition;
  const read = reader(conf);
  const configured = <K extends Call<JsonObject>>(call: K) => ({ ...call, conf: read(call) });
  const validated = (call: PodCall<JsonObject>) => {
    const known = configured(call);
    validate?.(known);
    return known;
  };
  return {
    ...definition,
    add: async (call, scope) => definition.add(configured(call), scope),
    check: async (call, scope) => definition.check(configured(call), scope),
    status: async (call, scope) => definition.status(configured(call), scope),
    gc: async (call, scope, valid) => definition.gc(configured(call), scope, valid),
    validate: (call) => void validated(call),
    foresee: async (call, scope) => foresee?.(validated(call), scope),
    networksAt: (document) => networksAt?.(readConf(conf, document)) ?? [],
  };
}

/** Reads a document once, however often it is asked about: a plugin that foresees a call gets the same one for ADD. */
function reader<C>(schema: Schema<C>): (call: Call<JsonObject>) => C {
  const known = new WeakMap<JsonObject, { readonly conf: C }>();
  return ({ document, stdin }) => {
    const found = known.get(document) ?? {
      conf: readConf(schema, withPlainIntegers(document, stdin.toString('utf8'))),
    };
    known.set(document, found);
    return found.conf;
  };
}

import type { ControllerPart } from '../controller/part.ts';
import type { Attachment, Call, DeletionCall, NetworkCall, PodCall } from './call.ts';
import type { Command } from './command.ts';
import { readConf, type Schema } from './config.ts';
import type { Examined, Finding } from './findings.ts';
import type { JsonObject } from './json.ts';
import type { AttachmentRecord } from './records.ts';
import type { Result } from './result.ts';
import type { Scope } from './scope.ts';
import type { AgentService } from './service.ts';

/** Members of every plugin, whatever its configuration. */
interface Common {
  readonly name: string;
  /** one line for people who start the program by hand; '' if the Go plugin prints none */
  readonly about: string;
  del(call: DeletionCall, scope: Scope): Promise<void>;
  /** keys that people use by mistake, and what to do instead: `subnet` → `is a key of …: write "range"` */
  readonly misnomers?: Readonly<Record<string, string>>;
  /** commands for people, as `braid <plugin's noun> …` */
  readonly commands?: readonly Command[];
  /** what `braid controller` does for a whole cluster */
  readonly controllerParts?: readonly ControllerPart[];
  /** what `braid agent` serves besides calls */
  readonly agentService?: AgentService;
  /**
   * What the plugin has recorded of attachments on this node, for people and for `braid gc`. Only reads.
   *
   * @param confs configurations of all plugins on this node: they say where records are
   */
  records?(scope: Scope, confs: readonly JsonObject[]): Promise<readonly AttachmentRecord[]>;
  /**
   * Folders in which calls of the plugin make locks that go with them, for `braid gc`: those of killed calls stay.
   *
   * @param confs as for `records`
   */
  lockFolders?(confs: readonly JsonObject[]): readonly string[];
  /** What makes the plugin fail or run slowly here, for `braid doctor`. Reads only. */
  examine?(scope: Scope, node: Examined): Promise<readonly Finding[]>;
}

/**
 * A plugin as its folder defines it: one function per verb, with a parsed configuration.
 *
 * A verb that has nothing to do is defined too, with a line that says why.
 */
export interface Definition<C> extends Common {
  readonly conf: Schema<C>;
  add(call: PodCall<C>, scope: Scope): Promise<Result>;
  check(call: PodCall<C>, scope: Scope): Promise<void>;
  status(call: NetworkCall<C>, scope: Scope): Promise<void>;
  gc(call: NetworkCall<C>, scope: Scope, valid: readonly Attachment[] | undefined): Promise<void>;
  /**
   * Refuses a configuration that no ADD can use, without asking the kernel. For a chained plugin the document has an
   * empty `prevResult`.
   *
   * @throws CniError
   */
  validate?(call: PodCall<C>): void;
  /**
   * Refuses this particular ADD, as ADD does before it touches anything. Called after `validate`, with the same
   * document. Only reads.
   *
   * @throws CniError
   */
  foresee?(call: PodCall<C>, scope: Scope): Promise<void>;
  /**
   * Networks in files that a configuration refers to, for `braid doctor`.
   *
   * @throws CniError
   */
  networksAt?(conf: C): readonly JsonObject[];
}

/** A plugin as others call it: with documents, which it parses itself. Each verb throws CniError for an invalid one. */
export interface Plugin extends Common {
  readonly conf: Schema<unknown>;
  add(call: PodCall<JsonObject>, scope: Scope): Promise<Result>;
  check(call: PodCall<JsonObject>, scope: Scope): Promise<void>;
  status(call: NetworkCall<JsonObject>, scope: Scope): Promise<void>;
  gc(call: NetworkCall<JsonObject>, scope: Scope, valid: readonly Attachment[] | undefined): Promise<void>;
  /** For `braid doctor`: refuses a configuration that no ADD can use. */
  validate(call: PodCall<JsonObject>): void;
  /** Refuses this particular ADD, for callers that ask all their plugins before the first one runs. */
  foresee(call: PodCall<JsonObject>, scope: Scope): Promise<void>;
  /** For `braid doctor`: networks in files that a configuration refers to. */
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
    foresee: async (call, scope) => {
      const known = validated(call); // also where the plugin foresees nothing of its own
      await foresee?.(known, scope);
    },
    networksAt: (document) => networksAt?.(readConf(conf, document)) ?? [],
  };
}

/** Parses a document once: `foresee` and ADD get the same one, and so do calls for the same network. */
function reader<C>(schema: Schema<C>): (call: Call<JsonObject>) => C {
  const known = new WeakMap<JsonObject, { readonly conf: C }>();
  return ({ document, stdin }) => {
    const found = known.get(document) ?? { conf: readConf(schema, stdin.plainDocument) };
    known.set(document, found);
    return found.conf;
  };
}

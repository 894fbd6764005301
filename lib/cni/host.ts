import { removeLinks } from '../link/remover.ts';
import { listLivingNetns } from '../netns/living.ts';
import type { Native } from '../netns/native.ts';
import { type Netns, openNetns, openOwnNetns } from '../netns/netns.ts';
import { readBootId } from '../sys/boot.ts';
import { readMark } from '../sys/build-id.ts';
import { openDatabase } from '../sys/database.ts';
import { execute } from '../sys/execute.ts';
import { Gatherer } from '../sys/gather.ts';
import { logStream } from '../sys/log-stream.ts';
import { Shared } from '../sys/shared.ts';
import { bounded } from './errors.ts';
import type { Host, Registry } from './plugin.ts';

const STDERR = 2;

export interface HostParts {
  /** called at first use: VERSION needs no native part */
  readonly loadNative: () => Native;
  readonly registry: Registry;
  /** the mark at the end of this build's files; undefined where delegates shall always be executed */
  readonly mark?: Buffer;
}

/** Calls within one call work on the same namespaces: they share descriptor and socket. */
function share(netns: Netns, opened: Map<string, Netns>): Netns {
  const same = opened.get(netns.identity);
  if (same?.isOpen) {
    netns[Symbol.dispose]();
    return same.shared();
  }
  opened.set(netns.identity, netns);
  return netns;
}

/** The same host, but for what is given. */
export const hostWith = (host: Host, changes: Partial<Host>): Host =>
  Object.create(host, Object.getOwnPropertyDescriptors(changes)) as Host;

/** The real host, for the time of one call: what it has seen of a file it does not look at again. */
export function makeHost({ loadNative, registry, mark }: HostParts): Host {
  const gatherer = new Gatherer();
  const shared = new Shared();
  const write = logStream(STDERR);
  let native: Native | undefined;
  let netns: Netns | undefined;
  let bootId: string | undefined;
  const opened = new Map<string, Netns>();
  const own = new Map<string, boolean>();
  const host: Host = {
    get native() {
      native ??= loadNative();
      return native;
    },
    get netns() {
      netns ??= openOwnNetns(host.native);
      return netns;
    },
    sysfs: '/sys',
    openNetns: (path) => share(openNetns(host.native, path), opened),
    livingNetns: listLivingNetns,
    get bootId() {
      bootId ??= readBootId();
      return bootId;
    },
    log: (line) => write(`${bounded(line)}\n`),
    registry,
    isOwnBuild: (path) => {
      const known = own.get(path) ?? (mark !== undefined && (readMark(path)?.equals(mark) ?? false));
      own.set(path, known);
      return known;
    },
    execute,
    openDatabase,
    shared: (slot) => shared.get(slot),
    join: (joiner, item) => joiner.join(item),
    removeLink: async (where, index) => {
      await gatherer.gather(`remove links of ${where.identity}`, index, (all) => removeLinks(where.netlink, all));
    },
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  };
  return host;
}

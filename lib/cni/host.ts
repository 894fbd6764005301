import { writeSync } from 'node:fs';
import { LinkRemover } from '../link/remover.ts';
import type { Native } from '../netns/native.ts';
import { type Netns, openNetns, openOwnNetns } from '../netns/netns.ts';
import { readMark } from '../sys/build-id.ts';
import { execute } from '../sys/execute.ts';
import type { Host, Registry } from './plugin.ts';

const STDERR = 2;

export interface HostParts {
  /** called at first use: VERSION needs no native part */
  readonly loadNative: () => Native;
  readonly registry: Registry;
  /** the mark at the end of this build's files; undefined where delegates shall always be executed */
  readonly mark?: Buffer;
}

/** The real host. */
export function makeHost({ loadNative, registry, mark }: HostParts): Host {
  const remover = new LinkRemover();
  let native: Native | undefined;
  let netns: Netns | undefined;
  const host: Host = {
    get native() {
      native ??= loadNative();
      return native;
    },
    get netns() {
      netns ??= openOwnNetns(host.native);
      return netns;
    },
    openNetns: (path) => openNetns(host.native, path),
    log: (line) => {
      writeSync(STDERR, `${line}\n`);
    },
    registry,
    isOwnBuild: (path) => mark !== undefined && (readMark(path)?.equals(mark) ?? false),
    execute,
    removeLink: (where, index) => remover.remove(where, index),
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  };
  return host;
}

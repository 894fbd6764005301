/** Container Device Interface: the runtime looks up what belongs to a device when a container starts. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { dump } from 'js-yaml';
import { makeFolder, removeWritten, writeAtomically } from '../sys/atomic-file.ts';
import { namesIn, textOf } from './bus-folder.ts';

/** https://github.com/cncf-tags/container-device-interface/blob/main/SPEC.md */
const VERSION = '0.5.0';
const FOLDER = '/var/run/cdi';
const LONGEST_KEY = 63;
/** First line of a file of ours, before the name of the resource: others write into the same folder. */
const MARK = '# braid device-plugins: ';

export interface CdiDevice {
  readonly id: string;
  readonly files: readonly { readonly containerPath: string; readonly hostPath: string }[];
}

/** The devices of one resource in the runtime's words. */
export class CdiSpec {
  private readonly path: string;
  private readonly prefix: string;
  private readonly kind: string;
  private readonly name: string;
  private readonly permissions: string;

  /**
   * @param root in front of `/var/run/cdi`
   * @param file name of the file, without its folder
   * @param kind `net-pci`: `<prefix>/<kind>=<id>` names a device
   * @param name of the resource: others have devices of the same kind
   */
  constructor(
    root: string,
    file: string,
    { prefix, kind, name, permissions }: Readonly<Record<'prefix' | 'kind' | 'name' | 'permissions', string>>,
  ) {
    this.path = join(root, FOLDER, file);
    this.prefix = prefix;
    this.kind = kind;
    this.name = name;
    this.permissions = permissions;
  }

  /**
   * Says what belongs to each device now. One to which nothing belongs is left out, as no runtime takes it.
   *
   * @throws CniError ioFailure
   */
  write(devices: readonly CdiDevice[]): void {
    const told = devices.filter(({ files }) => files.length > 0);
    if (told.length === 0) {
      removeWritten(this.path);
      return;
    }
    const content = `${this.mark()}\n${dump({
      cdiVersion: VERSION,
      kind: `${this.prefix}/${this.kind}`,
      devices: told.map(({ id, files }) => ({
        name: id,
        containerEdits: {
          deviceNodes: files.map(({ containerPath, hostPath }) => ({
            path: containerPath,
            hostPath,
            permissions: this.permissions,
          })),
        },
      })),
    })}`;
    if (!isThere(this.path, content)) {
      makeFolder(join(this.path, '..'), { mode: 0o755, sync: false });
      writeAtomically(this.path, content, { mode: 0o600, sync: false }); // in memory
    }
  }

  /** Idempotent. */
  remove(): void {
    removeWritten(this.path);
  }

  private mark(): string {
    return `${MARK}${this.prefix}/${this.name}`;
  }

  /**
   * How devices are named to the runtime: by the kubelet's own field, and for older ones by an annotation, which each
   * resource must have of its own.
   */
  namesOf(devices: readonly CdiDevice[]) {
    const names = devices.filter(({ files }) => files.length > 0).map(({ id }) => `${this.prefix}/${this.kind}=${id}`);
    const key = `${this.prefix}_${this.kind}_${this.name}`;
    return {
      annotations:
        names.length === 0 || key.length > LONGEST_KEY
          ? ({} as Readonly<Record<string, string>>)
          : { [`cdi.k8s.io/${key}`]: names.join(',') },
      cdiDevices: names.map((name) => ({ name })),
    };
  }
}

/**
 * Removes files of ours from earlier runs whose resources are not wanted any more.
 *
 * @param beginning what names of the files in question begin with
 * @param isWanted by name of the resource, `intel.com/vf`
 */
export function removeStaleSpecs(root: string, beginning: string, isWanted: (resource: string) => boolean): void {
  const folder = join(root, FOLDER);
  for (const name of namesIn(folder).filter((one) => one.startsWith(beginning))) {
    const [first = ''] = textOf(join(folder, name)).split('\n', 1);
    if (first.startsWith(MARK) && !isWanted(first.slice(MARK.length))) {
      removeWritten(join(folder, name));
    }
  }
}

function isThere(path: string, content: string): boolean {
  try {
    return readFileSync(path, 'utf8') === content;
  } catch {
    return false;
  }
}

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Device files of RDMA devices, as a container sees them. */
export interface RdmaFiles {
  /** of one RDMA device, by kind; several of a kind where it has several ports */
  of(rdmaDevice: string): readonly RdmaFile[];
  /** connection manager, which all devices share; '' when it is not there */
  readonly manager: string;
}

export interface RdmaFile {
  readonly kind: 'ucm' | 'issm' | 'umad' | 'uverbs';
  /** `/dev/infiniband/uverbs0` */
  readonly path: string;
}

const CLASSES = ['infiniband_cm', 'infiniband_mad', 'infiniband_verbs'] as const;
const KINDS = ['ucm', 'issm', 'umad', 'uverbs'] as const;
const FOLDER = '/dev/infiniband';
const MANAGER = `${FOLDER}/rdma_cm`;

/**
 * Reads which file belongs to which device: the kernel numbers them anew whenever a driver is loaded.
 *
 * @param root in front of `/sys` and `/dev`
 */
export function rdmaFilesIn(root: string): RdmaFiles {
  const files = new Map<string, RdmaFile[]>();
  for (const name of CLASSES.flatMap((one) => charDevicesIn(join(root, 'sys/class', one)))) {
    const kind = KINDS.find((one) => name.file.startsWith(one));
    if (kind !== undefined) {
      files.set(name.device, [...(files.get(name.device) ?? []), { kind, path: `${FOLDER}/${name.file}` }]);
    }
  }
  for (const own of files.values()) {
    own.sort((a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind) || order(a.path) - order(b.path));
  }
  return {
    of: (rdmaDevice) => files.get(rdmaDevice) ?? [],
    manager: existsSync(join(root, MANAGER)) ? MANAGER : '',
  };
}

const order = (path: string): number => Number(/\d+$/.exec(path)?.[0] ?? 0);

function charDevicesIn(folder: string): readonly { readonly file: string; readonly device: string }[] {
  return namesIn(folder).flatMap((file) => {
    try {
      return [{ file, device: readFileSync(join(folder, file, 'ibdev'), 'utf8').trim() }];
    } catch {
      return []; // `abi_version`, or gone meanwhile
    }
  });
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // the module is not loaded
  }
}

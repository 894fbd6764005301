import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** A network namespace that something keeps alive. */
export interface LivingNetns {
  /** the kernel's name of it: `net:[4026532246]` */
  readonly name: string;
  /** a path to it, through a process or a mount */
  readonly path: string;
}

/** Network namespaces of processes, and those mounted visibly for this process; each once. */
export function listLivingNetns(): readonly LivingNetns[] {
  const found = new Map<string, string>();
  for (const { name, path } of [...mountedNetns(), ...processNetns()]) {
    if (!found.has(name)) {
      found.set(name, path);
    }
  }
  return [...found].map(([name, path]) => ({ name, path }));
}

function* processNetns(): Generator<LivingNetns> {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const path = join('/proc', pid, 'ns/net');
    const name = nameBehind(path);
    if (name !== undefined) {
      yield { name, path };
    }
  }
}

function nameBehind(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined; // the process has ended, or is about to
  }
}

/** proc(5), mountinfo: number, parent, device, root, mount point …; the root of a namespace's mount is its name. */
function* mountedNetns(): Generator<LivingNetns> {
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const [, , , root = '', path = ''] = line.split(' ');
    if (root.startsWith('net:[')) {
      yield { name: root, path: unescapeOctal(path) };
    }
  }
}

/** Blanks and the like are escaped as `\040`. */
const unescapeOctal = (path: string): string =>
  path.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));

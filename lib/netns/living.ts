import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** A network namespace that something keeps alive. */
export interface LivingNetns {
  /** the kernel's name of it: `net:[4026532246]` */
  readonly name: string;
  /** leads to it: a process, or where it is mounted */
  readonly path: string;
}

/** Network namespaces that a process is in, or that are mounted where this process can see it; each once. */
export function listLivingNetns(): readonly LivingNetns[] {
  const found = new Map<string, string>();
  for (const { name, path } of [...mounted(), ...inhabited()]) {
    if (!found.has(name)) {
      found.set(name, path);
    }
  }
  return [...found].map(([name, path]) => ({ name, path }));
}

function* inhabited(): Generator<LivingNetns> {
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

/** proc(5), mountinfo: number, parent, device, root, mount point …; the root of a namespace is its name. */
function* mounted(): Generator<LivingNetns> {
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const [, , , root = '', path = ''] = line.split(' ');
    if (root.startsWith('net:[')) {
      yield { name: root, path: unescaped(path) };
    }
  }
}

/** Blanks and the like are written as `\040`. */
const unescaped = (path: string): string =>
  path.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));

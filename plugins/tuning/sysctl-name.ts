/** What the name of a sysctl may mean. */
export interface SysctlReading {
  /** below /proc/sys, with the interface in it: `net/ipv4/conf/eth0.5/arp_filter` */
  readonly path: string;
  /** as sysctl(8) writes it, without the interface: `net.ipv4.conf.IFNAME.arp_filter` */
  readonly dotted: string;
  /** the same with slashes */
  readonly slashed: string;
}

const INTERFACE = 'IFNAME';

/**
 * Reads the name of a sysctl as sysctl(8) does: what separates first separates all, and the other one is a dot in the
 * name of an interface: `net/ipv4/conf/eth0.5/arp_filter`, `net.ipv4.conf.eth0/5.arp_filter`. The Go plugin separates at
 * both, which is another reading of a name that has both.
 *
 * @returns readings in the order in which they are tried; a phrase for an error message when it is not the name of a
 * sysctl of the network
 */
export function readSysctlName(name: string, ifName: string): readonly SysctlReading[] | string {
  const plain = name.startsWith('/') ? name.slice(1) : name;
  const first = /[./]/.exec(plain)?.[0];
  if (first === undefined) {
    return 'is not the name of a sysctl below "net"';
  }
  const usual = plain.split(first).map((part) => part.replaceAll('/', '.'));
  if (usual.some((part) => part === '..' || part === '.')) {
    return 'leads elsewhere';
  }
  const both = plain.split(/[./]/);
  const readings = (usual.length === both.length ? [usual] : [usual, both]).filter(isOfNetwork);
  return readings.length === 0
    ? 'is not the name of a sysctl below "net"'
    : readings.map((parts) => readingOf(parts, ifName));
}

const isOfNetwork = (parts: readonly string[]): boolean =>
  parts[0] === 'net' && parts.length > 1 && parts.every((part) => part !== '' && !part.includes('\0'));

function readingOf(parts: readonly string[], ifName: string): SysctlReading {
  const at = parts.findIndex((part) => part.includes(INTERFACE));
  const placed = parts.map((part, index) => (index === at ? part.replace(INTERFACE, () => ifName) : part));
  return {
    path: placed.join('/'),
    dotted: parts.map((part) => part.replaceAll('.', '/')).join('.'),
    slashed: parts.join('/'),
  };
}

/** Whether the kernel shows what was written: it separates values by tabs, and writes numbers in its own way. */
export function isSameValue(wanted: string, shown: string): boolean {
  const [a, b] = [wordsOf(wanted), wordsOf(shown)];
  return wanted === shown || (a.length === b.length && a.every((word, index) => isSameWord(word, b[index] ?? '')));
}

const wordsOf = (text: string): readonly string[] => text.split(/\s+/).filter((word) => word !== '');

function isSameWord(a: string, b: string): boolean {
  const [left, right] = [numberOf(a), numberOf(b)];
  return a === b || (left !== undefined && left === right);
}

/** As strtoul(3) with base 0 reads it: hexadecimal after `0x`, octal after `0`. */
function numberOf(word: string): bigint | undefined {
  const [, sign, digits = ''] = /^(-?)(0x[0-9a-f]+|[0-9]+)$/i.exec(word) ?? [];
  if (digits === '' || (/^0[0-9]/.test(digits) && !/^0[0-7]+$/.test(digits))) {
    return undefined;
  }
  const value = BigInt(/^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits);
  return sign === '-' ? -value : value;
}
